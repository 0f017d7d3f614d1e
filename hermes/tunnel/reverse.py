"""
Remote listening, the proxy's end: a client of ours asks for a listening port here, and the connections to it go to that
client through tunnels.

All of this is ours, beyond the standards:

    listen    C{CONNECT}, C{:protocol: hermes-listen}, at C{/.well-known/hermes/listen/tcp/{host}/{port}/}; answered at
              once with C{200}, C{hermes-listener: "ID"} and C{hermes-bound: "ADDRESS:PORT"}
    accept    C{CONNECT}, C{:protocol: hermes-accept}, at C{/.well-known/hermes/accept/{id}/}; answered once a
              connection was accepted, with C{200} and C{hermes-peer: "ADDRESS:PORT"}; from then on it is the connection

The host is an IP address of the proxy's, port 0 stands for any. The port listens for as long as the first stream is
open; its bodies are empty. The client keeps some accept streams waiting; each of them becomes one connection. An id
can't be guessed, and is worth nothing to anybody but who asked for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from secrets import token_urlsafe
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IReactorTime, ITransport
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.errors import BadRequest, FlowError, Overloaded
from hermes.interfaces import INetwork, IServerExchange
from hermes.proxied import sourceOf
from hermes.tunnel.answers import Answers, Unauthorized
from hermes.tunnel.relay import RelayEnd
from hermes.tunnel.request import Kind, PathUnknown, TunnelRequest
from hermes.values import Flow, Identity, ResponseHead, Target


class CannotListen(FlowError):
    """
    The port can't be bound.
    """

    status = 502
    proxyStatus = "proxy_internal_error"


@frozen
class ListeningLimits:
    """
    @ivar ports: how many ports one identity may have.
    @ivar streams: how many accept streams may wait for one port.
    @ivar connections: how many connections may wait for one port's accept streams; more are reset.
    @ivar waiting: for how long they may, in seconds.
    """

    ports: int = 64
    streams: int = 256
    connections: int = 128
    waiting: float = 10.0


def quoted(text: str) -> bytes:
    """
    A structured string (RFC 9651 section 3.3.3) of what needs no escapes.
    """
    return f'"{text}"'.encode("ascii")


class _Accepted(RelayEnd):
    """
    The end of an accepted connection; nothing is read from it until an accept stream is its other end.
    """

    def __init__(self, port: RemotePort) -> None:
        super().__init__()
        self.other = RelayEnd()
        self.other.other = self
        self._port = port
        self.timer: IDelayedCall | None = None

    def makeConnection(self, transport: ITransport) -> None:
        super().makeConnection(transport)
        self._port.connectionAccepted(self)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._port.connectionGone(self)
        super().connectionLost(reason)


class _AcceptingFactory(Factory):
    """
    Makes the protocols of a port's connections.
    """

    noisy = False

    def __init__(self, port: RemotePort) -> None:
        self._port = port

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return _Accepted(self._port)


class RemotePort:
    """
    A port that listens for a client: the connections that wait for a stream, or the streams that wait for a connection.
    """

    def __init__(self, identity: Identity, answers: Answers, clock: IReactorTime, limits: ListeningLimits) -> None:
        self.identity = identity
        self.id = token_urlsafe(24)
        self.port: IListeningPort | None = None
        self.closed = False
        self._answers = answers
        self._clock = clock
        self._limits = limits
        self._connections: deque[_Accepted] = deque()
        self._streams: deque[IServerExchange] = deque()

    def connectionAccepted(self, accepted: _Accepted) -> None:
        """
        Somebody connected.
        """
        if self._streams:
            self._assign(accepted, self._streams.popleft())
        elif self.closed or len(self._connections) >= self._limits.connections:
            accepted.transport.abortConnection()
        else:
            self._connections.append(accepted)
            accepted.timer = self._clock.callLater(self._limits.waiting, accepted.transport.abortConnection)

    def connectionGone(self, accepted: _Accepted) -> None:
        """
        A connection ended; perhaps it still waited.
        """
        if accepted.timer is not None:
            self._stopWaiting(accepted)
            self._connections.remove(accepted)

    def streamOpened(self, exchange: IServerExchange) -> None:
        """
        The client waits for a connection.

        @raise FlowError: where it may not.
        """
        if self._connections:
            accepted = self._connections.popleft()
            self._stopWaiting(accepted)
            self._assign(accepted, exchange)
        elif len(self._streams) >= self._limits.streams:
            raise Overloaded("enough streams wait for this port")
        else:
            self._streams.append(exchange)
            exchange.notifyLost(lambda reason: self._streamGone(exchange))

    def _streamGone(self, exchange: IServerExchange) -> None:
        if exchange in self._streams:
            self._streams.remove(exchange)

    def _stopWaiting(self, accepted: _Accepted) -> None:
        timer, accepted.timer = accepted.timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _assign(self, accepted: _Accepted, exchange: IServerExchange) -> None:
        source = sourceOf(accepted.transport)
        peer = quoted(str(Target(*source))) if source is not None else b'""'
        exchange.respond(ResponseHead(200, ((b"hermes-peer", peer),)))
        exchange.attach(accepted.other)

    def close(self) -> None:
        """
        Accept nothing more. What the client has goes on; what waits does not.
        """
        if self.closed:
            return
        self.closed = True
        if self.port is not None:
            maybeDeferred(self.port.stopListening)
        for accepted in list(self._connections):
            accepted.transport.abortConnection()
        streams, self._streams = self._streams, deque()
        for exchange in streams:
            self._answers.refuse(exchange, PathUnknown("the port does not listen any more"))


class _Lifeline(Protocol):
    """
    The stream that a port lives as long as.
    """

    def __init__(self, gone: Callable[[], None]) -> None:
        self._gone = gone

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._gone()


class RemoteListening:
    """
    Takes the requests to listen and to accept, for L{hermes.tunnel.server.TunnelHandler}.
    """

    log = Logger()

    def __init__(
        self,
        network: INetwork,
        clock: IReactorTime,
        authorise: Callable[[Flow], None],
        answers: Answers,
        limits: ListeningLimits | None = None,
    ) -> None:
        """
        @param authorise: raises L{FlowError} unless a route allows the flow, whose protocol is C{"listen"} and whose
            target is the address to bind.
        """
        self._network = network
        self._clock = clock
        self._authorise = authorise
        self._answers = answers
        self._limits = limits or ListeningLimits()
        self._ports: dict[str, RemotePort] = {}
        self._binding: dict[Identity, int] = {}

    def __call__(self, exchange: IServerExchange, request: TunnelRequest, flow: Flow) -> None:
        """
        Answer a request, now or later.

        @raise FlowError: where it is refused now.
        """
        if not flow.identity:
            raise Unauthorized("only somebody with a name may listen")
        if request.kind is Kind.ACCEPT:
            port = self._ports.get(request.listener)
            # Of somebody else's port nobody learns that it exists.
            if port is None or port.identity != flow.identity:
                raise PathUnknown("no such port listens")
            port.streamOpened(exchange)
            return
        if flow.target.address() is None:
            raise BadRequest("the address to listen on is an IP address")
        self._authorise(flow)
        if self._count(flow.identity) >= self._limits.ports:
            raise Overloaded("too many ports listen for this client")
        Deferred.fromCoroutine(self._listen(exchange, flow)).addErrback(
            lambda failure: self._answers.refuseFailure(exchange, failure)
        )

    def _count(self, identity: Identity) -> int:
        listening = sum(port.identity == identity for port in self._ports.values())
        return listening + self._binding.get(identity, 0)

    async def _listen(self, exchange: IServerExchange, flow: Flow) -> None:
        port = RemotePort(flow.identity, self._answers, self._clock, self._limits)
        exchange.notifyLost(lambda reason: port.close())
        self._binding[flow.identity] = self._binding.get(flow.identity, 0) + 1
        try:
            endpoint = self._network.streamServer(str(flow.target))
            port.port = await endpoint.listen(_AcceptingFactory(port))
        except Exception as error:
            self.log.info(
                "listening on {target} for {identity} failed: {error}",
                target=flow.target,
                identity=flow.identity,
                error=error,
            )
            raise CannotListen(f"{flow.target} can't be listened on") from error
        finally:
            self._binding[flow.identity] -= 1
            if not self._binding[flow.identity]:
                del self._binding[flow.identity]
        if port.closed:
            # The client went away meanwhile.
            await maybeDeferred(port.port.stopListening)
            return
        self._ports[port.id] = port
        bound: Any = port.port.getHost()
        self.log.info("listening on {bound} for {identity}", bound=bound, identity=flow.identity)
        headers = (
            (b"hermes-listener", quoted(port.id)),
            (b"hermes-bound", quoted(str(Target(bound.host, bound.port)))),
        )
        exchange.respond(ResponseHead(200, headers))
        exchange.attach(_Lifeline(lambda: self._gone(port)))

    def _gone(self, port: RemotePort) -> None:
        self._ports.pop(port.id, None)
        port.close()

    def close(self) -> None:
        """
        Listen no more.
        """
        for port in list(self._ports.values()):
            self._gone(port)
