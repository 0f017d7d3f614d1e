"""
A way to an etcd on which requests and answers get lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

Fate: TypeAlias = Literal["pass", "lose request", "lose answer", "hold", "swallow"]
"""
What becomes of a request:

  - C{lose request}: the connection ends before it gets there.
  - C{lose answer}: the connection ends when it is answered.
  - C{hold}: it gets there when it is released, and the answer back too.
  - C{swallow}: nothing comes, and nobody says so.
"""


class Way:
    """
    Listens on a port of loopback, and leads to another.

    @ivar fate: decides what becomes of a request, by its bytes.
    @ivar target: the port that it leads to.
    @ivar requests: the paths of all requests, in order.
    @ivar dead: whether nothing gets through, in either direction, and new connections get no answer.
    """

    def __init__(self, reactor: Any, url: str) -> None:
        self.reactor = reactor
        self.target = int(url.rpartition(":")[2])
        self.fate: Callable[[bytes], Fate] = lambda request: "pass"
        self.requests: list[str] = []
        self.dead = False
        self.held: list[Near] = []
        self.near: list[Near] = []
        self._every: list[Near] = []
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []
        factory = Factory.forProtocol(Near)
        factory.noisy = False
        factory.way = self  # type: ignore[attr-defined]
        self._port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.url = f"http://127.0.0.1:{self._port.getHost().port}"

    def passed(self, request: bytes) -> Fate:
        """
        A request has come.
        """
        self.requests.append(request.split(b" ", 2)[1].decode("ascii"))
        fate = self.fate(request)
        for waiting in [each for each in self._waiting if each[0]()]:
            self._waiting.remove(waiting)
            # What becomes of this one first.
            self.reactor.callLater(0, waiting[1].callback, None)
        return fate

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """
        Fires when it holds, which is looked at when a request comes.
        """
        waiting: Deferred[None] = Deferred()
        self._waiting.append((condition, waiting))
        return waiting

    def once(self, path: bytes, fate: Fate, which: int = 0) -> None:
        """
        The fate of one request; all others pass.

        @param path: a part of it.
        @param which: of those, which one, from 0.
        """
        count = [0]

        def decided(request: bytes) -> Fate:
            if path not in request:
                return "pass"
            count[0] += 1
            return fate if count[0] == which + 1 else "pass"

        self.fate = decided

    def release(self) -> Deferred[Any]:
        """
        Let go of what is held. Fires when it was answered.
        """
        held, self.held = self.held, []
        for each in held:
            each.release()
        return gatherResults([each.answer for each in held])

    def cut(self) -> None:
        """
        End all connections.
        """
        for each in list(self.near):
            each.transport.abortConnection()

    async def close(self) -> None:
        """
        The way is no more.
        """
        await self._port.stopListening()
        self.dead = False
        self.cut()
        for each in self._every:
            each.end()
            await gatherResults([each.gone, each.farGone])


class Near(Protocol):
    """
    The store's end. The request that is under way is known: a connection has one at a time.

    @ivar asked: its path.
    """

    transport: Any
    factory: Any
    asked = ""

    def __init__(self) -> None:
        self.gone: Deferred[None] = Deferred()
        self.farGone: Deferred[None] = Deferred()
        self.answer: Deferred[None] = Deferred()
        self._far: Any = None
        self._waiting = b""
        self._fate: Fate = "pass"
        self._ended = False

    def connectionMade(self) -> None:
        """
        Connect to the other end.
        """
        self.way: Way = self.factory.way
        self.way.near.append(self)
        self.way._every.append(self)
        factory = Factory.forProtocol(Far)
        factory.noisy = False
        factory.near = self  # type: ignore[attr-defined]
        endpoint = TCP4ClientEndpoint(self.way.reactor, "127.0.0.1", self.way.target)
        endpoint.connect(factory).addCallbacks(self._connected, self._refused)

    def _refused(self, failure: Failure) -> None:
        self.farGone.callback(None)
        self.transport.abortConnection()

    def _connected(self, far: Any) -> None:
        self._far = far
        if self._ended and self not in self.way.held:
            far.transport.abortConnection()
            return
        waiting, self._waiting = self._waiting, b""
        if self._fate == "hold":
            self._waiting = waiting
        elif waiting:
            self._forward(waiting)

    def dataReceived(self, data: bytes) -> None:
        """
        A request, or more of one.
        """
        if self.way.dead:
            return
        if data.startswith(b"POST "):
            self.asked = data.split(b" ", 2)[1].decode("ascii")
            self._fate = self.way.passed(data)
        if self._fate == "lose request":
            self.transport.abortConnection()
        elif self._fate == "hold":
            if data.startswith(b"POST "):
                self.way.held.append(self)
            self._waiting += data
        elif self._fate != "swallow":
            self._forward(data)

    def release(self) -> None:
        """
        What is held goes on.
        """
        self._fate = "pass"
        waiting, self._waiting = self._waiting, b""
        self._forward(waiting)

    def _forward(self, data: bytes) -> None:
        if self._far is None:
            self._waiting += data
        else:
            self._far.transport.write(data)

    def answered(self, data: bytes) -> None:
        """
        An answer, or more of one.
        """
        if not self.answer.called:
            self.answer.callback(None)
        if self._ended:
            self.end()
        elif self.way.dead:
            return
        elif self._fate == "lose answer":
            self.transport.abortConnection()
        else:
            self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        What is held goes on without this end.
        """
        self._ended = True
        if self in self.way.near:
            self.way.near.remove(self)
        if self not in self.way.held:
            self.end()
        self.gone.callback(None)

    def end(self) -> None:
        """
        Nothing goes on.
        """
        if self._far is not None:
            self._far.transport.abortConnection()


class Far(Protocol):
    """
    The other end.
    """

    transport: Any
    factory: Any

    def dataReceived(self, data: bytes) -> None:
        """
        From etcd.
        """
        self.factory.near.answered(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        etcd is gone, or was told to be.
        """
        near = self.factory.near
        if not near.way.dead:
            near.transport.loseConnection()
        near.farGone.callback(None)
