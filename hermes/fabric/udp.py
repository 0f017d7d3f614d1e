"""
The C{udp} listener: every source that sends to it has a flow to one target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import field, frozen
from attrs.validators import ge, gt
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.errors import ListenError
from hermes.fabric.flowtable import FlowChannel, FlowTable
from hermes.interfaces import (
    IDatagramSocket,
    IDatagramSocketReceiver,
    IListener,
    IListenerContext,
    IListenerType,
)
from hermes.portlistener import bindsOf, cannotListen
from hermes.values import Buffer, Flow, Target

# The larger of the two versions of IP; the socket counts what it can't send.
MAX_UDP_PAYLOAD: Final = 65527


@frozen
class UDPOptions:
    """
    @ivar bind: C{HOST:PORT}, C{[V6]:PORT} or C{unix:PATH}.
    @ivar target: where the flows go.
    @ivar idle: seconds after which a flow that nothing passed through is ended.
    @ivar maxFlows: how many sources may have a flow; a further one takes the place of the one that was idle longest.
    """

    bind: str
    target: Target
    idle: float = field(default=60.0, validator=gt(0))
    maxFlows: int = field(default=4096, validator=ge(1))


class SourceChannel(FlowChannel):
    """
    The datagrams of one source: what it sends, what goes back to it.
    """

    __slots__ = ("_socket",)

    def __init__(self, flows: FlowTable[SourceChannel], socket: IDatagramSocket, address: object) -> None:
        """
        @param address: the source's.
        """
        FlowChannel.__init__(self, flows, address, MAX_UDP_PAYLOAD)
        self._socket = socket

    def _send(self, datagrams: Sequence[Buffer]) -> None:
        self._socket.writeTo(datagrams, self.key)


@implementer(IListener, IDatagramSocketReceiver)
class UDPListener:
    """
    A socket that stands for a target.

    @ivar name: its name in the configuration.
    @ivar target: where the flows go.
    """

    def __init__(self, name: str, options: UDPOptions, context: IListenerContext) -> None:
        self.name = name
        self.target = options.target
        self._bind = options.bind
        self._context = context
        self._socket: IDatagramSocket | None = None
        self._flows: FlowTable[SourceChannel] = FlowTable(name, context.reactor, options.maxFlows, options.idle)

    # Datagrams

    def datagramsReceivedFrom(self, datagrams: Sequence[Buffer], address: object) -> None:
        channel = self._flows.get(address)
        if channel is None:
            if self._socket is None:
                return
            channel = self._open(self._socket, address)
        channel.received(datagrams)

    def _open(self, socket: IDatagramSocket, address: object) -> SourceChannel:
        """
        A flow for a new source.
        """
        channel = SourceChannel(self._flows, socket, address)
        self._flows.add(channel)
        source = address if isinstance(address, tuple) else None
        channel.open(self._context.flows.openDatagrams(Flow("udp", self.target, source, listener=self.name)))
        return channel

    @property
    def opened(self) -> int:
        """
        How many sources had a flow.
        """
        return self._flows.opened

    @property
    def evicted(self) -> int:
        """
        How many lost it to a newer source.
        """
        return self._flows.evicted

    @property
    def flows(self) -> int:
        """
        How many sources have a flow.
        """
        return len(self._flows)

    # The listener

    @property
    def binds(self) -> tuple[str, ...]:
        """
        See L{hermes.interfaces.IListener}.
        """
        return (self._bind,)

    def reserve(self, leaving: Sequence[IListener] = ()) -> Callable[[], None]:
        """
        See L{hermes.interfaces.IListener}.
        """
        try:
            held: Callable[[], None] = self._context.network.reserveDatagrams(self._bind, bindsOf(leaving))
        except OSError as error:
            raise cannotListen(self._bind, error) from error
        return held

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        try:
            self._socket = self._context.network.datagramSocket(self._bind)
        except OSError as error:
            raise cannotListen(self._bind, error) from error
        self._socket.setReceiver(self)

    def stop(self) -> Deferred[None]:
        """
        Close the socket. Its flows end with it: a socket that is bound and takes nobody new would swallow what is sent
        to its successor on the same port, where a source has a new flow with its next datagram.
        """
        socket, self._socket = self._socket, None
        if socket is not None:
            self._flows.endAll(ConnectionDone())
            socket.stopListening()
        return succeed(None)

    def drain(self) -> None:
        """
        Datagrams can't be asked to finish.
        """

    def abort(self) -> None:
        self._flows.endAll(ConnectionAborted())

    def getHost(self) -> object:
        if self._socket is None:
            raise ListenError(f"{self.name} does not listen")
        return self._socket.getHost()


@implementer(IPlugin, IListenerType)
class UDPListenerType:
    """
    C{type: udp}.
    """

    type = "udp"
    options = UDPOptions

    def listener(self, name: str, options: Any, context: IListenerContext) -> IListener:
        return UDPListener(name, options, context)
