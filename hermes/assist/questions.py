"""
What an authorizer is asked, and how its answer is read: two protocols.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

from twisted.internet.defer import Deferred

from hermes.assist.fetching import Answer, Fetch
from hermes.assist.verdicts import Verdict
from hermes.errors import FlowError
from hermes.matching import readings
from hermes.messages import Request
from hermes.values import Headers
from hermes.wire.errors import MalformedError
from hermes.wire.host import writeAuthority

Input: TypeAlias = Literal[
    "user", "node", "listener", "protocol", "method", "scheme", "host", "path", "query", "target", "source"
]

MAX_REASON: Final = 1024

# Fields of an authorizer's answer that are about its connection with us.
_CONNECTION: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"server",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


class AuthorizerFailed(FlowError):
    """
    There is no answer that can be read: nobody is let in on that.
    """

    status = 503
    proxyStatus = "destination_unavailable"


class Asker(Protocol):
    """
    One way to ask.
    """

    def questions(self, request: Request) -> Sequence[Hashable]:
        """
        All that is asked about C{request}, at least one: it is allowed where each is answered so. Equal questions have
        equal answers.

        @raise FlowError: where nobody can say what it asks for.
        """

    def ask(self, question: Any) -> Deferred[Verdict]:
        """
        Errback with L{AuthorizerFailed} or L{hermes.assist.fetching.FetchFailed}.
        """


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


_INPUTS: Final[dict[str, Callable[[Request], Any]]] = {
    "user": lambda request: request.flow.identity.user,
    "node": lambda request: request.flow.identity.node,
    "listener": lambda request: request.flow.listener,
    "protocol": lambda request: request.flow.protocol,
    "method": lambda request: _text(request.head.method),
    "scheme": lambda request: _text(request.head.scheme),
    "host": lambda request: _text(request.head.authority),
    "query": lambda request: _text(request.head.path.partition(b"?")[2]),
    "target": lambda request: {"host": request.flow.target.host, "port": request.flow.target.port},
    "source": lambda request: request.flow.source[0] if request.flow.source is not None else None,
}


class PolicyAgent:
    """
    The REST API of the Open Policy Agent: C{POST} of an C{input} document; the C{result} is true or false, or an object
    with C{allow} and, where it likes, C{headers}, C{status} and C{reason}. No result is a refusal.

    A path is told in normal form. One that can be read in more than one way is asked about in each: what the origin
    will make of it is not known here.
    """

    def __init__(
        self,
        fetch: Fetch,
        url: str,
        inputs: Sequence[Input],
        headers: Sequence[bytes],
        sets: frozenset[bytes],
        token: str | None = None,
    ) -> None:
        """
        @param url: of the decision: C{http://HOST:PORT/v1/data/PATH}.
        @param inputs: what it is told.
        @param headers: fields of the request that it is told.
        @param sets: fields that it may set.
        @param token: proves us to it.
        """
        self._fetch = fetch
        self._url = url
        self._inputs = tuple((name, _INPUTS[name]) for name in inputs if name != "path")
        self._path = "path" in inputs
        self._headers = tuple(headers)
        self._sets = sets
        self._fields: Headers = ((b"content-type", b"application/json"), (b"accept", b"application/json"))
        if token is not None:
            self._fields += ((b"authorization", b"Bearer " + token.encode()),)

    def questions(self, request: Request) -> Sequence[bytes]:
        document: dict[str, Any] = {name: read(request) for name, read in self._inputs}
        if self._headers:
            found = {name: request.head.get(name) for name in self._headers}
            document["headers"] = {_text(name): _text(value) for name, value in found.items() if value is not None}
        if not self._path:
            return [_written(document)]
        normal, others = readings(request.head.path)
        return [_written({**document, **_pathInputs(_text(path))}) for path in (normal, *others)]

    def ask(self, question: bytes) -> Deferred[Verdict]:
        return self._fetch(b"POST", self._url, self._fields, question).addCallback(self._read)

    def _read(self, answer: Answer) -> Verdict:
        if answer.status != 200:
            raise AuthorizerFailed(f"the policy agent answered {answer.status}")
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            raise AuthorizerFailed("the policy agent's answer is not JSON") from None
        if not isinstance(document, dict):
            raise AuthorizerFailed("the policy agent's answer is not an object")
        result = document.get("result", False)
        if isinstance(result, bool):
            return Verdict(result, body=b"" if result else b"denied by policy\n")
        if not isinstance(result, dict) or not isinstance(result.get("allow"), bool):
            raise AuthorizerFailed("the policy agent's result is neither true nor false, and has no 'allow'")
        if result["allow"]:
            return Verdict(True, self._fieldsOf(result.get("headers", {})))
        return Verdict(False, status=_statusOf(result), body=_reasonOf(result))

    def _fieldsOf(self, value: object) -> Headers:
        if not isinstance(value, dict):
            raise AuthorizerFailed("the policy agent's 'headers' are not an object")
        found: list[tuple[bytes, bytes]] = []
        for name, values in value.items():
            key = name.lower().encode("utf-8", "replace")
            if key in self._sets:
                for each in values if isinstance(values, list) else [values]:
                    if not isinstance(each, str) or not each.isprintable():
                        raise AuthorizerFailed("the policy agent's 'headers' have a value that no field can hold")
                    found.append((key, each.encode("utf-8")))
        return tuple(found)


def _pathInputs(path: str) -> dict[str, Any]:
    return {"path": path, "pathSegments": [part for part in path.split("/") if part]}


def _written(document: dict[str, Any]) -> bytes:
    return json.dumps({"input": document}, separators=(",", ":"), sort_keys=True).encode()


def _statusOf(result: dict[str, Any]) -> int:
    status = result.get("status", 403)
    if not isinstance(status, int) or isinstance(status, bool) or not 400 <= status <= 599:
        raise AuthorizerFailed("the policy agent's 'status' is none from 400 to 599")
    return status


def _reasonOf(result: dict[str, Any]) -> bytes:
    reason = result.get("reason", "denied by policy")
    if not isinstance(reason, str):
        raise AuthorizerFailed("the policy agent's 'reason' is no text")
    return reason[:MAX_REASON].encode("utf-8", "replace") + b"\n"


class PlainHTTP:
    """
    A service that is sent the head of the request, and says yes with 2xx. What it says else is for the client; with 5xx
    it has said nothing.

    It is told what is asked for in C{X-Forwarded-Method}, C{-Proto}, C{-Host}, C{-Uri} and C{-For}, and who asks in
    C{X-Forwarded-User} and C{X-Forwarded-Node}.
    """

    def __init__(self, fetch: Fetch, url: str, method: bytes, headers: Sequence[bytes], sets: frozenset[bytes]) -> None:
        """
        @param method: C{GET} or C{HEAD}.
        @param headers: fields of the request that it is sent.
        @param sets: fields of its answer that are set on the request.
        """
        self._fetch = fetch
        self._url = url
        self._method = method
        self._headers = frozenset(headers)
        self._sets = sets

    def questions(self, request: Request) -> Sequence[Headers]:
        head, flow = request.head, request.flow
        # Those of the client's are gone; a tunnel names its target.
        authority = head.authority or _authority(flow.target.host, flow.target.port)
        told = [
            (b"x-forwarded-method", head.method),
            (b"x-forwarded-proto", head.scheme or flow.protocol.encode()),
            (b"x-forwarded-host", authority),
            (b"x-forwarded-uri", head.path),
            (b"x-forwarded-for", flow.source[0].encode() if flow.source is not None else b""),
            (b"x-forwarded-user", (flow.identity.user or "").encode("utf-8", "replace")),
            (b"x-forwarded-node", (flow.identity.node or "").encode("utf-8", "replace")),
        ]
        fields = [pair for pair in head.headers if pair[0] in self._headers]
        return [tuple([*fields, *((name, value) for name, value in told if value)])]

    def ask(self, question: Headers) -> Deferred[Verdict]:
        return self._fetch(self._method, self._url, question).addCallback(self._read)

    def _read(self, answer: Answer) -> Verdict:
        if 200 <= answer.status < 300:
            return Verdict(True, tuple(pair for pair in answer.headers if pair[0] in self._sets))
        if answer.status >= 500:
            raise AuthorizerFailed(f"the authorizer answered {answer.status}")
        # What is said to one client is not for the next.
        lasting = answer.get(b"set-cookie") is None and b"no-store" not in (answer.get(b"cache-control") or b"").lower()
        fields = tuple(pair for pair in answer.headers if pair[0] not in _CONNECTION)
        return Verdict(False, (), answer.status, fields, answer.body, lasting)


def _authority(host: str, port: int) -> bytes:
    try:
        return writeAuthority(host, port)
    except (MalformedError, UnicodeError):
        return host.encode("utf-8", "replace")
