"""
Tunnels that others open through us: the server's end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, NotImplementedHere, Overloaded, TargetTimeout
from hermes.interfaces import IAdmission, IAuthenticator, IExchangeHandler, IFlowHandler, IServerExchange
from hermes.tunnel.answers import Answers, readVia
from hermes.tunnel.channel import CapsuleChannel
from hermes.tunnel.iptunnel import DEFAULT_OPTIONS, IPTunnel, PacketOptions
from hermes.tunnel.request import (
    CAPSULE_PROTOCOL,
    DEFAULT_TEMPLATES,
    Kind,
    PathUnknown,
    Templates,
    TunnelRequest,
    recognise,
)
from hermes.tunnel.tcpcapsules import CapsuleStream
from hermes.values import Flow, ResponseHead

CONTINUE: Final = ResponseHead(100)
ACCEPTED: Final = ResponseHead(200)
ACCEPTED_CAPSULES: Final = ResponseHead(200, CAPSULE_PROTOCOL)


class MethodNotAllowed(FlowError):
    """
    A tunnel is served here, and the request is none.
    """

    status = 405
    proxyStatus = "http_request_error"


@implementer(IExchangeHandler)
class TunnelHandler:
    """
    Makes flows of tunnel requests. Who sent a flow, L{Answers} tells. C{hermes-via} is read from a node only, and means
    nothing from anybody else.

    @ivar pending: how many flows are being opened.
    @ivar answers: names whoever asks, and refuses.
    @ivar listening: takes the kinds LISTEN and ACCEPT, with a flow whose protocol is C{"listen"}; raises L{FlowError},
        see L{hermes.tunnel.reverse}. Where it is L{None}, nobody listens here.
    """

    def __init__(
        self,
        flows: IFlowHandler,
        authenticator: IAuthenticator,
        clock: IReactorTime,
        nodeName: str,
        listenerName: str,
        anonymous: bool = False,
        templates: Templates = DEFAULT_TEMPLATES,
        forward: IExchangeHandler | None = None,
        admission: IAdmission | None = None,
        timeout: float = 60.0,
        maxPending: int = 4096,
        packets: PacketOptions = DEFAULT_OPTIONS,
    ) -> None:
        """
        @param anonymous: whether somebody without a name is taken, unless the authenticator requires one.
        @param forward: takes the requests that are no tunnel; it looks after authentication itself.
        @param admission: asks about each tunnel before it is opened.
        @param timeout: seconds to open a flow.
        @param maxPending: how many flows may be being opened at once.
        @param packets: how our end of a tunnel for IP packets is.
        """
        self.pending = 0
        self.answers = Answers(authenticator, nodeName, anonymous)
        self.clock = clock
        self.flows = flows
        self.timeout = timeout
        self._listenerName = listenerName
        self._templates = templates
        self._forward = forward
        self.admission = admission
        self.listening: Callable[[IServerExchange, TunnelRequest, Flow], None] | None = None
        self._maxPending = maxPending
        self.packets = packets

    def exchangeReceived(self, exchange: IServerExchange) -> None:
        try:
            self._receive(exchange)
        except FlowError as error:
            self.answers.refuse(exchange, error, ALLOW if isinstance(error, MethodNotAllowed) else ())

    def _receive(self, exchange: IServerExchange) -> None:
        request = recognise(exchange.request, self._templates)
        if request is None:
            self._receiveOther(exchange)
            return
        admission = self.admission
        if admission is not None and admission.identifies:
            identity = exchange.identity
        else:
            identity = self.answers.identify(exchange, request.kind)
        if self.pending >= self._maxPending:
            raise Overloaded("too many tunnels are being opened")
        flow = Flow(
            protocol=_PROTOCOLS[request.kind],
            target=request.target,
            source=exchange.source,
            identity=identity,
            listener=self._listenerName,
            via=readVia(exchange),
            ipProtocol=request.ipProtocol,
        )
        if flow.protocol == "listen":
            self._listen(exchange, request, flow)
        else:
            _Opening(self, exchange, request.kind).open(flow)

    def _listen(self, exchange: IServerExchange, request: TunnelRequest, flow: Flow) -> None:
        listening = self.listening
        if listening is None:
            raise PathUnknown("this proxy does not listen for others")
        if self.admission is None:
            listening(exchange, request, flow)
            return

        def admitted(found: Flow | None) -> None:
            if found is not None:
                self.answers.check(found.identity, request.kind)
                listening(exchange, request, found)

        asking = self.admission.admit(exchange, flow, request.kind.templated)
        exchange.notifyLost(lambda reason: asking.cancel())
        asking.addCallback(admitted)
        # Where the client has gone, nobody is left to be told.
        asking.addErrback(lambda failure: failure.trap(CancelledError) and None)
        asking.addErrback(partial(self.answers.refuseFailure, exchange))

    def _receiveOther(self, exchange: IServerExchange) -> None:
        """
        A request that is no tunnel.
        """
        head = exchange.request
        if self._forward is not None:
            self._forward.exchangeReceived(exchange)
        elif head.method == b"CONNECT":
            raise NotImplementedHere("this proxy does not speak the protocol that the request names")
        elif self._templates.serve(head.path):
            raise MethodNotAllowed("a tunnel is served here: use CONNECT with :protocol, or Upgrade")
        else:
            raise PathUnknown("nothing is served here but tunnels")


ALLOW: Final = ((b"allow", b"CONNECT"),)

_PROTOCOLS: Final = {
    Kind.CONNECT: "tcp",
    Kind.CONNECT_TCP: "tcp",
    Kind.CONNECT_UDP: "udp",
    Kind.CONNECT_IP: "ip",
    Kind.LISTEN: "listen",
    Kind.ACCEPT: "listen",
}


class _Opening:
    """
    A flow that is being opened for an exchange. It ends in one of four ways: opened, refused, out of time, or its
    client goes away, which cancels it.
    """

    log = Logger()

    def __init__(self, handler: TunnelHandler, exchange: IServerExchange, kind: Kind) -> None:
        self._handler = handler
        self._exchange = exchange
        self._kind = kind
        self._done = False
        self._lost: Failure | None = None
        self._timedOut = False
        # Of IP packets: whether this is their tunnel's end.
        self._endsHere = False
        self._opening: Deferred[Any]

    def open(self, flow: Flow) -> None:
        handler = self._handler
        handler.pending += 1
        self._timer = handler.clock.callLater(handler.timeout, self._outOfTime)
        if handler.admission is None:
            self._opening = self._dial(flow)
        else:
            self._opening = handler.admission.admit(self._exchange, flow, self._kind.templated)
            self._opening.addCallback(self._admitted)
        self._opening.addBoth(self._settled)
        self._opening.addCallbacks(self._opened, self._failed)
        self._opening.addErrback(lambda failure: self.log.failure("answering a tunnel failed", failure=failure))
        if not self._done:
            self._exchange.notifyLost(self._clientGone)

    def _dial(self, flow: Flow) -> Deferred[Any]:
        if (self._exchange.request.get(b"expect") or b"").lower() == b"100-continue":
            self._exchange.respond(CONTINUE)
        flows = self._handler.flows
        if self._kind is Kind.CONNECT_UDP:
            return flows.openDatagrams(flow)
        if self._kind is Kind.CONNECT_IP:
            # Only a node says which hops follow. Those between pass the bytes on.
            self._endsHere = not (flow.via and flow.identity.node is not None)
            if self._endsHere:
                return flows.openPackets(flow)
        return flows.openStream(flow)

    def _admitted(self, flow: Flow | None) -> Any:
        if flow is None:
            return None
        self._handler.answers.check(flow.identity, self._kind)
        return self._dial(flow)

    def _settled(self, result: Any) -> Any:
        self._done = True
        self._handler.pending -= 1
        if self._timer.active():
            self._timer.cancel()
        return result

    def _clientGone(self, reason: Failure) -> None:
        if not self._done:
            self._lost = reason
            self._opening.cancel()

    def _outOfTime(self) -> None:
        self._timedOut = True
        self._opening.cancel()

    def _opened(self, near: Any) -> None:
        exchange = self._exchange
        if near is None:
            # It was refused, and answered.
            return
        handler, kind = self._handler, self._kind
        if kind is Kind.CONNECT_UDP or self._endsHere:
            if self._lost is not None:
                near.channelLost(self._lost)
                return
            if self._endsHere:
                channel: Any = IPTunnel(handler.clock, handler.packets, exchange.identity)
            else:
                channel = CapsuleChannel(handler.clock)
            exchange.respond(ACCEPTED_CAPSULES)
            channel.setReceiver(near)
            exchange.attach(channel)
        elif self._lost is not None:
            near.connectionLost(self._lost)
        else:
            exchange.respond(ACCEPTED if kind is Kind.CONNECT else ACCEPTED_CAPSULES)
            exchange.attach(CapsuleStream(near) if kind is Kind.CONNECT_TCP else near)

    def _failed(self, failure: Failure) -> None:
        if self._lost is not None:
            return
        if self._timedOut:
            self._handler.answers.refuse(self._exchange, TargetTimeout("the target did not answer in time"))
        else:
            self._handler.answers.refuseFailure(self._exchange, failure)
