"""
The REST interface: L{hermes.control.operator.openapi} describes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from hermes.control.controller import Controller
from hermes.control.errors import ControlError, UnknownVersion
from hermes.control.explaining import Question
from hermes.control.operator import plain
from hermes.control.operator.access import Actor, TooMany, Unauthorized
from hermes.control.operator.metrics import OperatorMetrics
from hermes.control.operator.questions import Questioners
from hermes.control.operator.refusing import statusOf
from hermes.control.operator.request import OperatorRequest
from hermes.control.values import Progress

_FORMS: Final = (b"application/x-www-form-urlencoded", b"multipart/form-data", b"text/plain")
"""
What any web page may have a browser send, wherever to.
"""


@frozen
class Call:
    """
    One question.

    @ivar request: of HTTP.
    @ivar actor: who asks.
    @ivar names: what of the path is a name, in order.
    """

    request: OperatorRequest
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
        return str(values[0].decode("utf-8", "replace"))

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

        @raise ValueError: where it is no text.
        """
        content = self.request.content
        try:
            return str(content.read().decode())
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
        self,
        controller: Controller,
        graph: Callable[[], Deferred[Any]],
        openapi: Any,
        metrics: OperatorMetrics,
        asked: Questioners,
    ) -> None:
        """
        @param graph: what the page draws.
        @param openapi: the description of all this.
        @param metrics: counts.
        @param asked: how often somebody without a token may ask what costs something.
        """
        Resource.__init__(self)
        self._controller = controller
        self._graph = graph
        self._metrics = metrics
        self._asked = asked
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
            ("POST", ("diff",)): (self._diff, True),
            ("POST", ("apply",)): (self._apply, True),
            ("POST", ("rollback", "*")): (self._rollback, True),
            ("POST", ("cancel",)): (self._cancel, True),
            ("GET", ("explain",)): (self._explain, False),
            ("GET", ("audit",)): (self._audit, False),
        }

    def render(self, request: OperatorRequest) -> Any:
        path = tuple(part.decode("utf-8", "replace") for part in request.postpath or () if part)
        method = request.method.decode("ascii", "replace")
        method = "GET" if method == "HEAD" else method
        found = self._find(method, path)
        if found is None:
            allowed = [each for each in ("GET", "POST") if self._find(each, path) is not None]
            if not allowed:
                return self._refuse(request, 404, "there is nothing here: see openapi.json")
            request.setHeader(b"allow", ", ".join(allowed).encode())
            return self._refuse(request, 405, f"{method} is nothing that this takes")
        pattern, names = found
        answer, changes = self.calls[method, pattern]
        gone: list[Failure] = []
        # What is under way goes on without whoever began it, who may come back and look.
        request.notifyFinish().addErrback(gone.append)
        counted = "/".join("{}" if part == "*" else part for part in pattern)
        request.notifyFinish().addBoth(lambda _: self._metrics.called(method, counted, request.code))
        try:
            actor = request.actor()
        except ControlError as error:
            return self._failed(request, Failure(error))
        if changes and not actor.mayChange:
            return self._failed(request, Failure(Unauthorized("this needs an operator's token")))
        if request.tooLong:
            return self._refuse(request, 413, f"at most {request.limit} bytes are taken here")
        kind = (request.getHeader(b"content-type") or b"").partition(b";")[0].strip().lower()
        if method == "POST" and kind in _FORMS:
            return self._refuse(request, 415, "a document is sent as application/yaml, and not as a form")
        answering: Deferred[Any] = maybeDeferred(answer, Call(request, actor, names))
        answering.addCallback(lambda value: None if gone or value is NOT_DONE_YET else self._tell(request, value))
        answering.addErrback(lambda failure: None if gone else self._failed(request, failure))
        return NOT_DONE_YET

    def _find(self, method: str, path: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        for each, pattern in self.calls:
            if each == method and len(pattern) == len(path):
                pairs = list(zip(pattern, path, strict=True))
                if all(one in ("*", other) for one, other in pairs):
                    return pattern, tuple(other for one, other in pairs if one == "*")
        return None

    def _tell(self, request: OperatorRequest, value: Any, status: int = 200) -> None:
        request.tell(status, json.dumps(value, indent=2).encode() + b"\n", "application/json")

    def _refuse(self, request: OperatorRequest, status: int, text: str) -> Any:
        self._tell(request, {"error": text}, status)
        return NOT_DONE_YET

    def _failed(self, request: OperatorRequest, failure: Failure) -> Any:
        status, text = statusOf(failure)
        if status == 401:
            request.setHeader(b"www-authenticate", b"Bearer")
        if isinstance(failure.value, TooMany):
            request.setHeader(b"retry-after", b"%d" % failure.value.wait)
        return self._refuse(request, status, text)

    # Answers

    def _status(self, call: Call) -> Any:
        return self._controller.status().addCallback(plain.status)

    def _node(self, call: Call) -> Any:
        return self._controller.nodeStatus(call.names[0]).addCallback(plain.plain)

    def _logs(self, call: Call) -> Any:
        count = min(call.number("count", 100) or 100, 10_000)
        return self._controller.logs(call.names[0], count).addCallback(lambda lines: {"lines": list(lines)})

    def _enrol(self, call: Call) -> Any:
        return Deferred.fromCoroutine(self._enrolled(call))

    async def _enrolled(self, call: Call) -> dict[str, Any]:
        (node,), actor = call.names, call.actor
        token = await self._controller.enrol(node, actor.name, actor.origin)
        # A controller is called as it is reached.
        return {"node": node, "token": token, "controller": (await self._controller.status()).leader}

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
        known = call.actor.known
        return found.addCallback(lambda record: plain.version(record, whole=True, redact=not known))

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

        def counted(outcome: Any) -> Any:
            self._metrics.changed(outcome.result)
            return outcome

        if b"application/x-ndjson" not in (request.getHeader(b"accept") or b""):
            return change(lambda progress: None).addCallback(counted).addCallback(plain.plain)
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        request.setHeader(b"content-type", b"application/x-ndjson")

        def line(**values: Any) -> None:
            if not gone:
                request.write(json.dumps(values).encode() + b"\n")

        def failed(failure: Failure) -> None:
            status, text = statusOf(failure)
            line(error=text, status=status)

        def done(_: object) -> Any:
            if not gone:
                request.finish()
            return NOT_DONE_YET

        changing = change(lambda progress: line(progress=plain.plain(progress))).addCallback(counted)
        return changing.addCallbacks(lambda outcome: line(outcome=plain.plain(outcome)), failed).addCallback(done)

    def _cancel(self, call: Call) -> Any:
        def over(outcome: Any) -> Any:
            cancelled = outcome is not None and outcome.result in ("aborted", "refused")
            return {"cancelled": cancelled, "outcome": None if outcome is None else plain.plain(outcome)}

        return self._controller.cancel(call.actor.name, call.actor.origin).addCallback(over)

    def _explain(self, call: Call) -> Any:
        self._asked.ask(call.actor)
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
