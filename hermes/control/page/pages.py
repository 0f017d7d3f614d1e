"""
The page's addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from hermes.control.controller import Controller
from hermes.control.differences import documentDifference
from hermes.control.errors import ControlError, UnknownVersion
from hermes.control.explaining import Question
from hermes.control.operator import plain
from hermes.control.operator.access import Access, TooMany, Unauthorized
from hermes.control.operator.metrics import OperatorMetrics
from hermes.control.operator.questions import Questioners
from hermes.control.operator.redacting import redacted
from hermes.control.operator.refusing import statusOf
from hermes.control.operator.request import OperatorRequest
from hermes.control.page import versions
from hermes.control.page.explain import explain
from hermes.control.page.frame import Reader, page
from hermes.control.page.markup import Content, tag
from hermes.control.page.overview import overview

_FILES: Final = {
    "style.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


HTML: Final = "text/html; charset=utf-8"


class Pages(Resource):
    """
    Everything but what has its own resource beside it.
    """

    log = Logger()

    def __init__(
        self,
        controller: Controller,
        access: Access,
        graph: Callable[[], Deferred[Any]],
        metrics: OperatorMetrics,
        asked: Questioners,
        local: bool,
        time: Callable[[], float],
    ) -> None:
        """
        @param local: whether it is served on the Unix socket.
        @param time: seconds since the epoch.
        """
        Resource.__init__(self)
        self._controller = controller
        self._access = access
        self._graph = graph
        self._metrics = metrics
        self._asked = asked
        self._local = local
        self._time = time
        folder = files("hermes.control.page")
        self._files = {name: (folder / name).read_bytes() for name in _FILES}

    def getChild(self, path: bytes, request: Any) -> Resource:
        return self._leaf

    @property
    def _leaf(self) -> Resource:
        return _Leaf(self)

    def answer(self, request: OperatorRequest) -> Any:
        """
        Answer a request for a page.
        """
        parts = [*request.prepath, *request.postpath]
        path = tuple(part.decode("utf-8", "replace") for part in parts if part)
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        if len(path) == 1 and path[0] in self._files and request.method in (b"GET", b"HEAD"):
            request.setHeader(b"cache-control", b"max-age=300")
            request.tell(200, self._files[path[0]], _FILES[path[0]])
            return NOT_DONE_YET
        answering = Deferred.fromCoroutine(self._answer(request, path))

        def failed(failure: Failure) -> None:
            status, text = statusOf(failure)
            if isinstance(failure.value, TooMany):
                request.setHeader(b"retry-after", b"%d" % failure.value.wait)
            content = [tag("h1", "That did not work"), tag("p", text, class_="card failed")]
            if not gone:
                request.tell(status, page(self._reader(request), "Not done", "", *content), HTML)

        def told(answer: tuple[str, str, list[Content]] | None) -> None:
            if gone:
                return
            if answer is None:
                request.finish()
                return
            title, menu, content = answer
            request.tell(200, page(self._reader(request), title, menu, *content), HTML)

        answering.addCallbacks(told, failed).addErrback(self._broken, request, gone)
        return NOT_DONE_YET

    def _broken(self, failure: Failure, request: OperatorRequest, gone: list[object]) -> None:
        self.log.failure("the page {uri} failed", failure, uri=request.uri)
        if not gone:
            request.setResponseCode(500)
            request.finish()

    def _reader(self, request: OperatorRequest) -> Reader:
        try:
            return Reader(request.actor(), self._local)
        except ControlError:
            return Reader(self._access.nobody(request), self._local)

    async def _answer(self, request: OperatorRequest, path: tuple[str, ...]) -> tuple[str, str, list[Content]] | None:
        """
        @return: title, entry of the menu, content; L{None} where the headers are the answer.
        """
        reader = Reader(request.actor(), self._local)
        if request.method == b"POST":
            return await self._change(request, reader, path)
        if request.method not in (b"GET", b"HEAD"):
            raise NoSuchPage("only GET and POST are taken")
        match path:
            case ():
                status = plain.status(await self._controller.status())
                return "Overlay", "/", overview(reader, status, await self._graph(), self._time())
            case ("versions",):
                records = await self._controller.history(versions.SHOWN, _before(request))
                return "History", "/versions", versions.history([plain.version(each) for each in records])
            case ("versions", number) if _isNumber(number):
                return f"Version {number}", "/versions", await self._version(reader, int(number))
            case ("audit",):
                entries = await self._controller.audits(versions.SHOWN, _before(request))
                return "Audit log", "/audit", versions.audit([plain.plain(each) for each in entries])
            case ("explain",):
                return "Who may reach what", "/explain", await self._explain(request, reader)
            case ("login",) if not self._local:
                return "Log in", "/login", _login()
        raise NoSuchPage("there is no such page")

    async def _version(self, reader: Reader, number: int) -> list[Content]:
        controller = self._controller
        record = await controller.version(number)
        status = await controller.status()

        async def document(of: int | None) -> str:
            if of is None:
                return ""
            text = (await controller.version(of)).document
            return text if reader.mayChange else redacted(text)

        own = record.document if reader.mayChange else redacted(record.document)
        changed = documentDifference(await document(record.parent), own)
        back = None
        if record.phase == "committed" and status.version not in (None, number):
            back = documentDifference(await document(status.version), own)
        values = plain.version(record, whole=True) | {"document": own}
        return versions.version(reader, values, changed, back, status.version)

    async def _explain(self, request: OperatorRequest, reader: Reader) -> list[Content]:
        names = ("destination", "user", "at", "method", "packets")
        given = {name: _field(request, name)[:300].strip() for name in names}
        nodes = [node.name for node in (await self._controller.status()).nodes]
        if not given["destination"]:
            return explain(given, nodes, {}, None)
        self._asked.ask(reader.actor)
        question = Question(
            given["destination"],
            given["user"] or None,
            bool(given["packets"]),
            None,
            given["method"] or "GET",
        )
        try:
            found = await self._controller.explain(question, given["at"] or None)
        except Exception as error:
            if statusOf(Failure(error))[0] == 500:
                raise
            return explain(given, nodes, {}, str(error))
        return explain(given, nodes, {node: plain.explanation(each) for node, each in found.items()}, None)

    # Changes

    async def _change(
        self, request: OperatorRequest, reader: Reader, path: tuple[str, ...]
    ) -> tuple[str, str, list[Content]] | None:
        if request.tooLong:
            raise ControlError("that is too long")
        if path == ("login",) and not self._local:
            self._access.logIn(request, _field(request, "token").strip())
            _see(request, "/")
            return None
        if not self._access.proven(request, reader.actor):
            raise Unauthorized("this page is old, or you are not logged in any more: log in, and try again")
        actor = reader.actor
        match path:
            case ("logout",):
                self._access.logOut(request)
                _see(request, "/")
                return None
            case ("cancel",):
                # How it goes on, the page shows.
                self._controller.cancel(actor.name, actor.origin)
                _see(request, "/")
                return None
            case ("versions", number, "rollback") if _isNumber(number):
                current = (await self._controller.status()).version
                outcome = await self._controller.rollback(int(number), actor.name, "", current, origin=actor.origin)
                self._metrics.changed(outcome.result)
                return "What came of it", "/versions", versions.outcome(plain.plain(outcome))
        raise NoSuchPage("there is no such page")


class NoSuchPage(UnknownVersion):
    """
    There is nothing at this address.
    """


class _Leaf(Resource):
    isLeaf = True

    def __init__(self, pages: Pages) -> None:
        Resource.__init__(self)
        self._pages = pages

    def render(self, request: Any) -> Any:
        return self._pages.answer(request)


def _see(request: OperatorRequest, path: str) -> None:
    request.setResponseCode(303)
    request.setHeader(b"location", path.encode())


def _field(request: OperatorRequest, name: str) -> str:
    arguments: Mapping[bytes, list[bytes]] = request.args or {}
    return arguments.get(name.encode(), [b""])[0].decode("utf-8", "replace")


def _isNumber(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _before(request: OperatorRequest) -> int | None:
    text = _field(request, "before")
    return int(text) if _isNumber(text) else None


def _login() -> list[Content]:
    form = tag(
        "form",
        tag(
            "label",
            "An operator's token ",
            tag("input", type="password", name="token", autocomplete="current-password", size=48, required=True),
        ),
        tag("button", "Log in"),
        method="post",
        action="/login",
        class_="card",
    )
    return [tag("h1", "Log in"), form]
