"""
The REST interface: L{hermes.control.operator.openapi} describes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from hermes.config import ConfigError
from hermes.control.controller import Controller
from hermes.control.errors import (
    Busy,
    ControlError,
    NodeCallFailed,
    NotLeading,
    Superseded,
    UnknownNode,
    UnknownVersion,
)
from hermes.control.explaining import Question, Unasked
from hermes.control.operator import plain
from hermes.control.operator.access import Access, Actor
from hermes.control.values import Progress

MAX_DOCUMENT: Final = 16 << 20
"""
The longest overlay document, bytes.
"""

_STATUS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (ConfigError, 422),
    (Unasked, 422),
    (Busy, 409),
    (Superseded, 409),
    (NotLeading, 503),
    (UnknownNode, 404),
    (UnknownVersion, 404),
    (NodeCallFailed, 504),
    (ControlError, 400),
    (ValueError, 400),
)


class Refused(ControlError):
    """
    Who asks may not.
    """


@frozen
class Call:
    """
    One question.

    @ivar request: of HTTP.
    @ivar actor: who asks.
    @ivar names: what of the path is a name, in order.
    """

    request: Request
    actor: Actor
    names: tuple[str, ...] = ()

    def text(self, name: str, default: str | None = None) -> str:
        """
        A parameter of the query.

        @raise ValueError: where it is not given, and has no default.
        """
        values = (self.request.args or {}).get(name.encode())
        if values is None:
            if default is None:
                raise ValueError(f"the parameter {name!r} is missing")
            return default
        return values[0].decode("utf-8", "replace")

    def number(self, name: str, default: int | None = None) -> int | None:
        """
        A parameter that is a whole number.
        """
        text = self.text(name, "")
        if not text:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 15:
            raise ValueError(f"{name!r} is a whole number, not {text[:20]!r}")
        return int(text)

    def body(self) -> str:
        """
        What was sent.

        @raise ValueError: where it is too long, or no text.
        """
        content: Any = self.request.content
        data = content.read(MAX_DOCUMENT + 1)
        if len(data) > MAX_DOCUMENT:
            raise ValueError(f"a document has at most {MAX_DOCUMENT >> 20} MiB")
        try:
            text: str = data.decode()
            return text
        except UnicodeDecodeError as error:
            raise ValueError(f"the document is not UTF-8 text: byte {error.start} is wrong") from None


Answering = Callable[[Call], Any]


class API(Resource):
    """
    C{/api/v1}.
    """

    isLeaf = True
    log = Logger()

    def __init__(
        self, controller: Controller, access: Access, local: bool, graph: Callable[[], Deferred[Any]], openapi: Any
    ) -> None:
        """
        @param local: whether it is served on the Unix socket.
        @param graph: what the page draws.
        @param openapi: the description of all this.
        """
        Resource.__init__(self)
        self._controller = controller
        self._access = access
        self._local = local
        self._graph = graph
        # By method and path, where C{*} is a name: what answers, and whether it changes anything.
        self.calls: dict[tuple[str, tuple[str, ...]], tuple[Answering, bool]] = {
            ("GET", ("openapi.json",)): (lambda call: openapi, False),
            ("GET", ("status",)): (self._status, False),
            ("GET", ("graph",)): (lambda call: self._graph(), False),
            ("GET", ("nodes", "*")): (self._node, False),
            ("GET", ("nodes", "*", "logs")): (self._logs, True),
            ("POST", ("nodes", "*", "enrol")): (self._enrol, True),
            ("POST", ("nodes", "*", "revoke")): (self._revoke, True),
            ("POST", ("nodes", "*", "drain")): (self._drain, True),
            ("GET", ("versions",)): (self._versions, False),
            ("GET", ("versions", "*")): (self._version, False),
            ("POST", ("diff",)): (self._diff, False),
            ("POST", ("apply",)): (self._apply, True),
            ("POST", ("rollback", "*")): (self._rollback, True),
            ("POST", ("cancel",)): (self._cancel, True),
            ("GET", ("explain",)): (self._explain, False),
            ("GET", ("audit",)): (self._audit, False),
        }

    def render(self, request: Request) -> Any:
        path = tuple(part.decode("utf-8", "replace") for part in request.postpath or () if part)
        method = request.method.decode("ascii", "replace")
        method = "GET" if method == "HEAD" else method
        found = self._find(method, path)
        actor = self._access.actor(request, self._local)
        if found is None:
            allowed = [each for each in ("GET", "POST") if self._find(each, path) is not None]
            if not allowed:
                return self._refuse(request, 404, "there is nothing here: see openapi.json")
            request.setHeader(b"allow", ", ".join(allowed).encode())
            return self._refuse(request, 405, f"{method} is nothing that this takes")
        answer, changes, names = found
        if changes and not actor.mayChange:
            request.setHeader(b"www-authenticate", b"Bearer")
            return self._refuse(request, 401, "this needs an operator's token")
        answering: Deferred[Any] = maybeDeferred(answer, Call(request, actor, names))
        gone: list[Failure] = []

        def finished(reason: Failure) -> None:
            gone.append(reason)
            # What is under way goes on: whoever began it may come back and look.

        request.notifyFinish().addErrback(finished)
        answering.addCallback(lambda value: None if gone or value is NOT_DONE_YET else self._tell(request, value))
        answering.addErrback(lambda failure: None if gone else self._failed(request, failure))
        return NOT_DONE_YET

    def _find(self, method: str, path: tuple[str, ...]) -> tuple[Answering, bool, tuple[str, ...]] | None:
        for (each, pattern), (answer, changes) in self.calls.items():
            if each == method and len(pattern) == len(path):
                pairs = list(zip(pattern, path, strict=True))
                if all(one in ("*", other) for one, other in pairs):
                    return answer, changes, tuple(other for one, other in pairs if one == "*")
        return None

    def _tell(self, request: Request, value: Any, status: int = 200) -> None:
        body = json.dumps(value, indent=2).encode() + b"\n"
        request.setResponseCode(status)
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"content-length", b"%d" % len(body))
        request.write(body)
        request.finish()

    def _refuse(self, request: Request, status: int, text: str) -> Any:
        self._tell(request, {"error": text}, status)
        return NOT_DONE_YET

    def _failed(self, request: Request, failure: Failure) -> None:
        error = failure.value
        for kind, status in _STATUS:
            if isinstance(error, kind):
                self._tell(request, {"error": str(error)}, status)
                return
        if not isinstance(error, CancelledError):
            self.log.failure("{method} {uri} failed", failure, method=request.method, uri=request.uri)
        self._tell(request, {"error": "internal error: the controller's log says more"}, 500)

    # Answers

    def _status(self, call: Call) -> Any:
        return self._controller.status().addCallback(plain.plain)

    def _node(self, call: Call) -> Any:
        return self._controller.nodeStatus(call.names[0]).addCallback(plain.plain)

    def _logs(self, call: Call) -> Any:
        count = min(call.number("count", 100) or 100, 10_000)
        return self._controller.logs(call.names[0], count).addCallback(lambda lines: {"lines": list(lines)})

    def _enrol(self, call: Call) -> Any:
        enrolling = self._controller.enrol(call.names[0], call.actor.name, call.actor.origin)
        return enrolling.addCallback(lambda token: {"node": call.names[0], "token": token})

    def _revoke(self, call: Call) -> Any:
        revoking = self._controller.revoke(call.names[0], call.actor.name, call.actor.origin)
        return revoking.addCallback(lambda _: {"node": call.names[0], "revoked": True})

    def _drain(self, call: Call) -> Any:
        timeout = float(call.number("timeout", 30) or 0)
        draining = self._controller.drain(call.names[0], timeout, call.actor.name, call.actor.origin)
        return draining.addCallback(lambda finished: {"node": call.names[0], "finished": bool(finished)})

    def _versions(self, call: Call) -> Any:
        limit = min(call.number("limit", 50) or 50, 1000)
        found = self._controller.history(limit, call.number("before"))
        return found.addCallback(lambda records: {"versions": [plain.version(record) for record in records]})

    def _version(self, call: Call) -> Any:
        if not call.names[0].isdigit():
            raise UnknownVersion(f"{call.names[0]!r} is no number of a version")
        found = self._controller.version(int(call.names[0]))
        return found.addCallback(lambda record: plain.version(record, whole=True))

    def _diff(self, call: Call) -> Any:
        return self._controller.diff(call.body()).addCallback(plain.plain)

    def _apply(self, call: Call) -> Any:
        body, comment, expect = call.body(), call.text("comment", ""), call.number("expect")
        actor = call.actor
        return self._telling(
            call, lambda told: self._controller.apply(body, actor.name, comment, expect, told, actor.origin)
        )

    def _rollback(self, call: Call) -> Any:
        if not call.names[0].isdigit():
            raise UnknownVersion(f"{call.names[0]!r} is no number of a version")
        number, comment, expect = int(call.names[0]), call.text("comment", ""), call.number("expect")
        actor = call.actor
        return self._telling(
            call, lambda told: self._controller.rollback(number, actor.name, comment, expect, told, actor.origin)
        )

    def _telling(self, call: Call, change: Callable[[Callable[[Progress], object]], Deferred[Any]]) -> Any:
        """
        Make a change. Who asks for C{application/x-ndjson} hears how it goes on, a line each, and the outcome last.
        """
        request = call.request
        if b"application/x-ndjson" not in (request.getHeader(b"accept") or b""):
            return change(lambda progress: None).addCallback(plain.plain)
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        request.setHeader(b"content-type", b"application/x-ndjson")
        request.setHeader(b"cache-control", b"no-store")

        def line(kind: str, value: Any) -> None:
            if not gone:
                request.write(json.dumps({kind: value}).encode() + b"\n")

        def failed(failure: Failure) -> None:
            if failure.check(*(kind for kind, _ in _STATUS)) is None:
                self.log.failure("a change failed", failure)
                line("error", "internal error: the controller's log says more")
            else:
                line("error", failure.getErrorMessage())

        def done(_: object) -> Any:
            if not gone:
                request.finish()
            return NOT_DONE_YET

        changing = change(lambda progress: line("progress", plain.plain(progress)))
        return changing.addCallbacks(lambda outcome: line("outcome", plain.plain(outcome)), failed).addCallback(done)

    def _cancel(self, call: Call) -> Any:
        self._controller.cancel(call.actor.name)
        return {"cancelled": True}

    def _explain(self, call: Call) -> Any:
        question = Question(
            call.text("destination"),
            call.text("user", "") or None,
            call.text("packets", "") in ("true", "1", "on"),
            call.text("transport", "") or None,
            call.text("method", "GET") or "GET",
        )

        def told(found: Mapping[str, Any]) -> Any:
            return {"answers": {node: plain.explanation(each) for node, each in found.items()}}

        return self._controller.explain(question, call.text("at", "") or None).addCallback(told)

    def _audit(self, call: Call) -> Any:
        limit = min(call.number("limit", 50) or 50, 1000)
        found = self._controller.audits(limit, call.number("before"))
        return found.addCallback(lambda entries: {"entries": [plain.plain(entry) for entry in entries]})
