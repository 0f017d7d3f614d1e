"""
What a route of the configuration does to HTTP requests: see L{hermes.config.routes}.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from attrs import field, frozen

from hermes.config.problems import KeyPath, Misfit, nearest
from hermes.config.types import ExistingFile, FieldName
from hermes.http.texts import VARIABLES, Text
from hermes.matching.regex import Regex
from hermes.wire.errors import MalformedError
from hermes.wire.host import parseAuthority

_VALUE: Final = re.compile(r"[^\x00-\x1f\x7f]*")
_FRAMING: Final = frozenset(
    [
        *("connection", "content-length", "expect", "forwarded", "host", "keep-alive", "proxy-authenticate"),
        *("proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via"),
    ]
)
"""
Fields that say how a message travels, or whom it comes from: they are not a rule's to write.
"""


@frozen
class RewriteConfig:
    """
    What a request is changed to before it is sent on. The query stays as it is. Of C{path}, C{prefix} and C{regex} one
    can be given.

    @ivar host: the host, C{HOST} or C{HOST:PORT}; an upstream with endpoints is told it, and is not chosen by it.
    @ivar path: the path; C{{NAME}} stands for what the match's C{path} captured.
    @ivar prefix: what takes the place of the prefix that the match's C{path} names.
    @ivar regex: every match of this expression in the path is replaced by C{substitution}.
    @ivar substitution: what replaces them; C{\\1} stands for the first group of C{regex}.
    """

    host: str | None = None
    path: str | None = None
    prefix: str | None = None
    regex: str | None = None
    substitution: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.host is None and self.path is None and self.prefix is None and self.regex is None:
            raise Misfit("rewrites nothing: give 'host', 'path', 'prefix' or 'regex'")
        given = [key for key in ("path", "prefix", "regex") if getattr(self, key) is not None]
        if len(given) > 1:
            raise Misfit(f"goes not with {given[0]!r}: the path can be rewritten in one way", below=(given[1],))
        if (self.regex is None) != (self.substitution is None):
            raise Misfit("'regex' and 'substitution' go together")
        for key in ("path", "prefix"):
            value = getattr(self, key)
            if value is not None:
                checkPath(value, (key,))
        if self.host is not None:
            checkAuthority(self.host, ("host",))
        if self.regex is not None and self.substitution is not None:
            checkSubstitution(self.regex, self.substitution)

    def texts(self) -> Mapping[KeyPath, str]:
        """
        The values that may have places, by key.
        """
        return {(key,): value for key in ("host", "path") if (value := getattr(self, key)) is not None}


@frozen
class HeadersConfig:
    """
    What is done to the fields of a head: C{remove} first, then C{set}, then C{add}. A value may hold C{{user}},
    C{{node}}, C{{source}}, C{{host}}, C{{path}}, and what the match's C{path} captured; a brace that is meant is
    doubled.

    @ivar set: fields that are there once then, with these values, by name.
    @ivar add: fields that are added to those of the same name, by name.
    @ivar remove: names of fields.
    """

    set: dict[FieldName, tuple[str, ...]] = field(factory=dict)
    add: dict[FieldName, tuple[str, ...]] = field(factory=dict)
    remove: tuple[FieldName, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not (self.set or self.add or self.remove):
            raise Misfit("changes nothing: give 'set', 'add' or 'remove'")
        for key in ("set", "add"):
            for name in getattr(self, key):
                checkFieldName(name, (key, name), True)
        for name in self.remove:
            checkFieldName(name, ("remove",), False)
        for path, text in self.texts().items():
            if not _VALUE.fullmatch(text):
                raise Misfit("a value can't hold line breaks or other control characters", below=path)

    def texts(self) -> Mapping[KeyPath, str]:
        """
        The values that may have places, by key.
        """
        return {
            (key, name): text for key in ("set", "add") for name, texts in getattr(self, key).items() for text in texts
        }


@frozen
class RedirectConfig:
    """
    Answer with another place: C{to}, or the URL that was asked for with parts changed.

    @ivar to: a URL or a path; it may hold what a header's value may, C{{path}} among them.
    @ivar scheme: C{http} or C{https}.
    @ivar host: the host, C{HOST} or C{HOST:PORT}.
    @ivar path: the path, and no query.
    @ivar status: 301, 302, 303, 307 or 308.
    """

    to: str | None = None
    scheme: str | None = None
    host: str | None = None
    path: str | None = None
    status: int = 302

    def __attrs_post_init__(self) -> None:
        parts = [key for key in ("scheme", "host", "path") if getattr(self, key) is not None]
        if self.to is None and not parts:
            raise Misfit("leads nowhere: give 'to', 'scheme', 'host' or 'path'")
        if self.to is not None:
            if parts:
                raise Misfit("is a part of what 'to' is the whole of", below=(parts[0],))
            if not re.fullmatch(r"[^\x00-\x20\x7f]+", self.to):
                raise Misfit("is not a URL or a path", below=("to",))
        if self.status not in (301, 302, 303, 307, 308):
            raise Misfit("a redirect is 301, 302, 303, 307 or 308", below=("status",))
        if self.scheme not in (None, "http", "https"):
            raise Misfit("expected http or https", below=("scheme",))
        if self.host is not None:
            checkAuthority(self.host, ("host",))
        if self.path is not None:
            checkPath(self.path, ("path",))

    def texts(self) -> Mapping[KeyPath, str]:
        """
        The values that may have places, by key.
        """
        return {(key,): value for key in ("to", "host", "path") if (value := getattr(self, key)) is not None}


@frozen
class RespondConfig:
    """
    Answer from here.

    @ivar status: the status, 200 to 599.
    @ivar body: the body, as text.
    @ivar file: the body is what this file holds when the configuration is loaded.
    @ivar headers: fields, by name; C{content-type} is told from the kind of body where it is left out.
    """

    status: int = 200
    body: str | None = None
    file: ExistingFile | None = None
    headers: dict[FieldName, str] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise Misfit("a response's status is between 200 and 599", below=("status",))
        if self.body is not None and self.file is not None:
            raise Misfit("goes not with 'body'", below=("file",))
        if self.status in (204, 205, 304) and (self.body or self.file is not None):
            raise Misfit(f"a response with status {self.status} has no body", below=("status",))
        for name, value in self.headers.items():
            checkFieldName(name, ("headers", name), True)
            if not _VALUE.fullmatch(value):
                raise Misfit("a value can't hold line breaks or other control characters", below=("headers", name))


@frozen
class MirrorConfig:
    """
    Send a copy of requests somewhere, and throw the answers away.

    @ivar to: the upstream.
    @ivar share: which part of the requests, from 0 to 1.
    """

    to: str
    share: float = 1.0

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise Misfit("a share is between 0 and 1", below=("share",))


def checkFieldName(name: str, below: KeyPath, written: bool) -> None:
    """
    @param written: whether the field is written, or only taken away.
    @raise Misfit: where it is not a rule's to change.
    """
    if name.startswith("hermes-") or name in _FRAMING:
        why = "use 'rewrite' for it" if name == "host" else "the proxy itself says what it holds"
        raise Misfit(f"{name!r} can't be {'set' if written else 'removed'} by a route: {why}", below=below)


def checkPath(text: str, below: KeyPath) -> None:
    """
    @raise Misfit: where C{text} is not the path of a request.
    """
    if not text.startswith("/"):
        raise Misfit(f"{text!r} does not begin with a slash", below=below)
    if not re.fullmatch(r"[\x21\x22\x24-\x7e]*", text):
        raise Misfit(f"{text!r} is not a path: percent-encode what is not a visible ASCII character", below=below)


def checkAuthority(text: str, below: KeyPath) -> None:
    """
    @raise Misfit: where C{text} is not C{HOST} or C{HOST:PORT}. What stands for its places is some name.
    """
    try:
        parseAuthority(re.sub(r"\{[^{}]*\}", "x", text).encode())
    except MalformedError:
        raise Misfit(f"{text!r} is not HOST or HOST:PORT", below=below) from None


def checkSubstitution(expression: str, substitution: str) -> None:
    """
    @raise Misfit: where the expression is none, or has not the groups that the substitution names.
    """
    try:
        groups = Regex(expression).groups
    except ValueError as error:
        raise Misfit(str(error), below=("regex",)) from None
    for escape in re.findall(r"\\(.?)", substitution):
        if not escape.isdigit():
            raise Misfit("a backslash stands before the number of a group", below=("substitution",))
        if int(escape) > groups:
            raise Misfit(f"the expression has no group {escape}", below=("substitution",))


def checkTexts(texts: Mapping[KeyPath, str], captures: Collection[str]) -> None:
    """
    @param captures: the names that the match captures.
    @raise Misfit: where a text has a place that nothing fills.
    """
    for path, text in texts.items():
        try:
            unknown = Text(text).unknown(captures)
        except ValueError as error:
            raise Misfit(str(error), below=path) from None
        if unknown:
            known = [*VARIABLES, *sorted(captures)]
            message = f"{{{unknown[0]}}} stands for nothing: known are {', '.join(known)}"
            raise Misfit(message, nearest(unknown[0], known), path)
