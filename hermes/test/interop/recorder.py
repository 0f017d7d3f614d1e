"""
An origin of the tests' own process, on Twisted's HTTP server: it keeps what it was asked, and answers as a test says.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, frozen
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request


@frozen
class Asked:
    """
    A request as it arrived.

    @ivar path: with the query.
    @ivar fields: by names in lower case; the values of one name joined with C{, }.
    """

    method: str
    path: str
    fields: dict[str, str]
    body: bytes


@define
class Answer:
    """
    What is answered. A body of L{None} is none, ever: the request stays open.
    """

    status: int = 200
    body: bytes | None = b"ok"
    fields: tuple[tuple[str, str], ...] = ()


class Recorder(Resource):
    """
    An origin.

    @ivar asked: what it was asked, in order.
    @ivar answer: what it answers, from now on.
    @ivar open: the requests that it does not answer.
    """

    isLeaf = True

    def __init__(self, body: bytes = b"ok") -> None:
        super().__init__()
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Answer] = lambda asked: Answer(body=body)
        self.open: list[Request] = []
        self._waiting: list[tuple[int, Deferred[None]]] = []

    def count(self, count: int) -> Deferred[None]:
        """
        Wait until it has been asked so often.
        """
        reached: Deferred[None] = Deferred()
        self._waiting.append((count, reached))
        self._changed()
        return reached

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for count, reached in waiting:
            if len(self.asked) >= count:
                reached.callback(None)
            else:
                self._waiting.append((count, reached))

    def render(self, request: Request) -> bytes | int:
        fields = {
            name.decode().lower(): ", ".join(value.decode("latin-1") for value in values)
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        content = request.content
        assert content is not None
        asked = Asked(request.method.decode(), request.uri.decode(), fields, content.read())
        self.asked.append(asked)
        answer = self.answer(asked)
        request.setResponseCode(answer.status)
        for name, value in answer.fields:
            request.responseHeaders.addRawHeader(name.encode(), value.encode("latin-1"))
        if answer.body is None:
            self.open.append(request)
            request.notifyFinish().addBoth(lambda _: self.open.remove(request))
        self._changed()
        return NOT_DONE_YET if answer.body is None else answer.body
