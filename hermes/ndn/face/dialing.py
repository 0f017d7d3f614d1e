"""
Links that we open: flows, whose way the node's routes decide, and connections that go straight to where the
configuration says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IAddress, IProtocol, IReactorTime
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from hermes.interfaces import IAttachable, IDatagramChannel, IFlowHandler, INetwork
from hermes.ndn.face.channelpair import channelPair
from hermes.ndn.face.dialed import DialedFace
from hermes.ndn.face.link import CONGESTION_MARKING
from hermes.ndn.face.streamchannel import StreamChannel
from hermes.ndn.face.uri import FaceAddress
from hermes.ndn.face.websocket import WebSocketChannel
from hermes.ndn.interfaces import Persistency
from hermes.values import Flow

Connect = Callable[[IProtocol], "Deferred[Any]"]
"""
Connects a protocol to somewhere; fires once its C{makeConnection} was called.
"""


class LinkDialer:
    """
    Opens links.
    """

    def __init__(
        self,
        clock: IReactorTime,
        flows: IFlowHandler,
        network: INetwork,
        joint: Callable[[], tuple[IAttachable, IAttachable]],
        listener: str,
    ) -> None:
        """
        @param joint: makes two stream transports, joined back to back.
        @param listener: whose flows they are.
        """
        self._clock = clock
        self._flows = flows
        self._network = network
        self._joint = joint
        self._listener = listener

    def face(
        self,
        address: FaceAddress,
        persistency: Persistency = "persistent",
        mtu: int | None = None,
        flags: int = CONGESTION_MARKING,
        direct: bool = False,
        name: str = "",
    ) -> DialedFace:
        """
        A face to C{address}. It opens its link once a face table has it.

        @param direct: whether it is no flow.
        @raise ValueError: with a sentence, where there is no way to such an address.
        """
        if address.target is None and not direct:
            raise ValueError(f"{address}: no route leads to a Unix socket: a face to it is direct")
        target = None if address.target is None else address.target.address()
        isLocal = direct and address.transport != "udp" and (target is None or target.is_loopback)
        return DialedFace(
            lambda: self.dial(address, direct),
            address.uri,
            f"direct://{name}" if direct else f"flow://{name}",
            local=isLocal and (address.target is None or target is not None),
            persistency=persistency,
            mtu=mtu,
            flags=flags,
        )

    def asked(self, address: FaceAddress, persistency: Persistency, mtu: int | None, flags: int) -> DialedFace:
        """
        A face that somebody asks for while the node runs (L{hermes.ndn.face.table.Maker}). It is a flow.

        @raise ValueError: as L{face} does.
        @raise hermes.errors.FlowError: where no route takes it now.
        """
        face = self.face(address, persistency, mtu, flags, name=str(address))
        if address.target is not None:
            protocol = "udp" if address.transport == "udp" else "tcp"
            self._flows.authorise(Flow(protocol, address.target, listener=self._listener))
        return face

    def dial(self, address: FaceAddress, direct: bool = False) -> Deferred[IDatagramChannel]:
        """
        Open a link. Errback with L{hermes.errors.FlowError}.
        """
        if address.transport == "udp":
            assert address.target is not None
            if direct:
                return self._network.connectDatagrams(address.target, allowSpecial=True)
            return self._datagramFlow(Flow("udp", address.target, listener=self._listener))
        connect: Connect
        if direct:
            place = f"unix:{address.path}" if address.target is None else str(address.target)
            connect = self._straight(place)
        else:
            assert address.target is not None
            connect = self._streamFlow(Flow("tcp", address.target, listener=self._listener))
        if address.transport == "ws":
            return self._webSocket(connect, address)
        channel = StreamChannel()
        return connect(channel).addCallback(lambda _: channel)

    def _datagramFlow(self, flow: Flow) -> Deferred[IDatagramChannel]:
        def opened(receiver: Any) -> IDatagramChannel:
            near, far = channelPair()
            near.setReceiver(receiver)
            return far

        return self._flows.openDatagrams(flow).addCallback(opened)

    def _streamFlow(self, flow: Flow) -> Connect:
        def connect(protocol: IProtocol) -> Deferred[Any]:
            def opened(near: IProtocol) -> None:
                ours, theirs = self._joint()
                theirs.attach(near)
                ours.attach(protocol)

            return self._flows.openStream(flow).addCallback(opened)

        return connect

    def _straight(self, place: str) -> Connect:
        def connect(protocol: IProtocol) -> Deferred[Any]:
            try:
                endpoint = self._network.streamClient(place)
            except ValueError:
                return fail(Failure())
            return endpoint.connect(_One(protocol))

        return connect

    def _webSocket(self, connect: Connect, address: FaceAddress) -> Deferred[IDatagramChannel]:
        def cancelled(_: object) -> None:
            connecting.cancel()
            channel.abortChannel()

        def failed(failure: Failure) -> None:
            if not opened.called:
                opened.errback(failure)

        opened: Deferred[IDatagramChannel] = Deferred(cancelled)
        assert address.target is not None
        channel = WebSocketChannel.client(self._clock, opened.callback, failed, address.target, address.path)
        connecting = connect(channel)
        connecting.addErrback(lambda failure: None if failure.check(CancelledError) else failed(failure))
        return opened


class _One(Factory):
    """
    Gives one connection its protocol.
    """

    noisy = False

    def __init__(self, made: IProtocol) -> None:
        self._made = made

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._made
