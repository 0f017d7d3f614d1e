"""
What a route does to the requests that it takes, beside saying where they go.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from attrs import evolve, frozen

from hermes.http.reliable import Delivery
from hermes.http.texts import Text, hostOf
from hermes.matching import NO_CAPTURES, Captures
from hermes.matching.paths import readings, unmergedPath
from hermes.matching.regex import Regex
from hermes.messages import BytesBody, Request, Response, textResponse
from hermes.values import Headers, RequestHead, ResponseHead


@frozen
class HeaderChanges:
    """
    What is done to the fields of a head: first some go, then some are set, then some are added.

    @ivar set: names in lower case and values; a field of that name goes first.
    @ivar add: names in lower case and values.
    @ivar remove: names in lower case.
    """

    set: tuple[tuple[bytes, Text], ...] = ()
    add: tuple[tuple[bytes, Text], ...] = ()
    remove: frozenset[bytes] = frozenset()

    def applied(self, headers: Headers, request: Request, captures: Captures) -> Headers:
        """
        The fields after the changes.

        @param request: fills the values.
        """
        gone = self.remove.union(name for name, _ in self.set)
        kept = [pair for pair in headers if pair[0] not in gone] if gone else list(headers)
        kept += [(name, text.fill(request, captures)) for name, text in self.set + self.add]
        return tuple(kept)


@frozen
class Rewrite:
    """
    What a request is changed to. Of C{path}, C{prefix} and C{regex} there is one at most; the query stays, save where
    C{path} has one of its own.

    @ivar host: the authority, C{HOST} or C{HOST:PORT}; or L{None}.
    @ivar path: the path; or L{None}.
    @ivar prefix: what takes the place of the prefix that the route's C{path} matched; or L{None}.
    @ivar regex: an expression, every match of which in the path's normal form is replaced; or L{None}.
    @ivar substitution: by what; C{\\1} is what its first group holds.
    """

    host: Text | None = None
    path: Text | None = None
    prefix: bytes | None = None
    regex: Regex | None = None
    substitution: str = ""


@frozen
class Redirect:
    """
    An answer that sends the client elsewhere: to C{to}, or to the URL that it asked for with parts changed.

    @ivar to: a URL or a path; or L{None}.
    @ivar scheme: C{b"http"} or C{b"https"}; or L{None}.
    @ivar host: C{HOST} or C{HOST:PORT}; or L{None}.
    @ivar path: a path; or L{None}.
    @ivar status: 301, 302, 303, 307 or 308.
    """

    to: Text | None = None
    scheme: bytes | None = None
    host: Text | None = None
    path: Text | None = None
    status: int = 302


@frozen
class Respond:
    """
    An answer of our own.

    @ivar status: its status.
    @ivar body: its body.
    @ivar headers: its fields, save C{content-length}.
    """

    status: int = 200
    body: bytes = b""
    headers: Headers = ()


@frozen
class Mirror:
    """
    Where a copy of a request is sent whose answer nobody waits for.

    @ivar to: the name of the upstream.
    @ivar share: of the requests that are copied, from 0 to 1.
    """

    to: str
    share: float = 1.0


@frozen
class RequestActions:
    """
    What a route does to requests.

    @ivar rewrite: changes what is asked for.
    @ivar headers: changes the fields of the request.
    @ivar responseHeaders: changes the fields of the response.
    @ivar redirect: answers, in place of an upstream.
    @ivar respond: answers, in place of an upstream.
    @ivar mirror: where a copy goes.
    @ivar split: names of upstreams and their weights, in place of one upstream.
    @ivar delivery: retries, the time that all may take, how a response goes on that is cut short; or L{None}.
    @ivar assist: the names of the assisting components that requests pass, in order.
    """

    rewrite: Rewrite | None = None
    headers: HeaderChanges | None = None
    responseHeaders: HeaderChanges | None = None
    redirect: Redirect | None = None
    respond: Respond | None = None
    mirror: Mirror | None = None
    split: tuple[tuple[str, int], ...] = ()
    delivery: Delivery | None = None
    assist: tuple[str, ...] = ()

    @property
    def instead(self) -> str | None:
        """
        What is done in place of sending a request on, in words; or L{None}.
        """
        if self.redirect is not None:
            return f"redirected with status {self.redirect.status}"
        return f"answered from here with status {self.respond.status}" if self.respond is not None else None


def rewriteRequest(actions: RequestActions, request: Request, captures: Captures = NO_CAPTURES) -> None:
    """
    Change the head of C{request}.

    @param captures: from L{hermes.matching.Match.captures}, asked before.
    """
    rewrite, changes = actions.rewrite, actions.headers
    if rewrite is None and changes is None:
        return
    head = request.head
    authority, path, headers = head.authority, head.path, head.headers
    if rewrite is not None:
        if rewrite.host is not None:
            authority = rewrite.host.fill(request, captures)
        path = _rewrittenPath(rewrite, request, captures)
    if changes is not None:
        headers = changes.applied(headers, request, captures)
    request.head = RequestHead(head.method, head.scheme, authority, path, head.protocol, headers)


def _rewrittenPath(rewrite: Rewrite, request: Request, captures: Captures) -> bytes:
    path = request.head.path
    _, mark, query = path.partition(b"?")
    if rewrite.path is not None:
        made = rewrite.path.fill(request, captures, encode=True)
        return made if b"?" in made else made + mark + query
    if rewrite.prefix is not None:
        # Slashes that follow each other stay, unless the prefix was only found without them.
        normal = unmergedPath(path)
        if not normal.startswith(captures.prefix + b"/") and normal != captures.prefix:
            normal = readings(path)[0]
        rest = normal[len(captures.prefix) :]
        return (rewrite.prefix.rstrip(b"/") + rest or b"/") + mark + query
    if rewrite.regex is not None:
        made = rewrite.regex.substitute(rewrite.substitution, readings(path)[0])
        return (made if made.startswith(b"/") else b"/" + made) + mark + query
    return path


def changeResponse(
    actions: RequestActions, head: ResponseHead, request: Request, captures: Captures = NO_CAPTURES
) -> ResponseHead:
    """
    The head of a response as the route changes it.

    @param request: what it answers; fills the values.
    """
    changes = actions.responseHeaders
    return head if changes is None else evolve(head, headers=changes.applied(head.headers, request, captures))


def redirectResponse(redirect: Redirect, request: Request, captures: Captures = NO_CAPTURES) -> Response:
    """
    The answer that sends the client elsewhere.
    """
    asked = request.record.head
    if redirect.to is not None:
        location = redirect.to.fill(request, captures)
    else:
        scheme = redirect.scheme or asked.scheme or b"http"
        if redirect.host is not None:
            authority = redirect.host.fill(request, captures)
        else:
            # A port belongs to the scheme that it was asked for with.
            authority = asked.authority if scheme == asked.scheme else hostOf(asked.authority)
        path = asked.path if redirect.path is None else redirect.path.fill(request, captures, encode=True)
        location = scheme + b"://" + authority + path
    return textResponse(redirect.status, "", ((b"location", location),))


def fixedResponse(respond: Respond, request: Request) -> Response:
    """
    The answer of our own. To HEAD it has no body, and says how long it would be.
    """
    length = (b"content-length", b"%d" % len(respond.body))
    bodiless = respond.status in (204, 304)
    headers = respond.headers if bodiless else (*respond.headers, length)
    empty = bodiless or not respond.body or request.head.method == b"HEAD"
    return Response(ResponseHead(respond.status, headers), None if empty else BytesBody(respond.body))


class Split:
    """
    Chooses one of several by weight.
    """

    def __init__(self, weights: Sequence[tuple[str, int]], random: Random) -> None:
        """
        @param weights: names, and weights of which one at least is above 0.
        """
        self._names = [name for name, _ in weights]
        self._bounds: list[int] = []
        total = 0
        for _, weight in weights:
            total += weight
            self._bounds.append(total)
        self._total = total
        self._random = random

    def choose(self) -> str:
        """
        A name.
        """
        point = self._random.random() * self._total
        for name, bound in zip(self._names, self._bounds, strict=True):
            if point < bound:
                return name
        return self._names[-1]
