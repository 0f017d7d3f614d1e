"""
The C{ndn} listener: a forwarder of Named Data Networking, where programs, other nodes and other forwarders have faces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocol
from twisted.logger import Logger
from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.errors import FlowError, ListenError, NotImplementedHere
from hermes.fabric.joint import joint
from hermes.interfaces import (
    IAttachable,
    IDatagramReceiver,
    IDatagramSocket,
    IDialer,
    IListener,
    IListenerContext,
    IListenerType,
    IPacketReceiver,
)
from hermes.ndn.face.accepting import StreamFaces, WebSocketFaces
from hermes.ndn.face.channelpair import channelPair
from hermes.ndn.face.dialing import LinkDialer
from hermes.ndn.face.multicast import GROUPS, multicastFace
from hermes.ndn.face.udp import UDPFaces
from hermes.ndn.face.uri import FaceAddress, ofAddress
from hermes.ndn.interfaces import INDNFace
from hermes.ndn.options import NDNOptions, fixed
from hermes.ndn.service import NameService
from hermes.ndnstore import CachedContentStore
from hermes.portlistener import bindsOf, cannotListen
from hermes.values import Flow


@frozen
class Places:
    """
    The addresses of a listener that has several.

    @ivar texts: each as the configuration writes it.
    """

    texts: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.texts) or "no address"


@frozen
class _Place:
    """
    Where faces are accepted, bound.

    @ivar text: as the configuration has it.
    @ivar host: where it is bound, as a Twisted L{IAddress}.
    @ivar stop: closes it.
    """

    text: str
    host: Callable[[], Any]
    stop: Callable[[], Any]

    def __str__(self) -> str:
        transport = self.text.partition(":")[0]
        host = self.host()
        if transport == "unix" or host is None:
            return self.text
        uri = ofAddress("tcp", host)
        return f"{transport}:{uri.partition('://')[2]}"


def _placeOf(address: FaceAddress) -> str:
    """
    As the network takes it.
    """
    return str(address) if address.target is None else str(address.target)


@implementer(IListener, IDialer)
class NDNListener:
    """
    See L{hermes.interfaces.IListener}. A flow that a route sends here ends as a face.

    @ivar service: the forwarder, its faces and its management.
    """

    log = Logger()

    def __init__(self, name: str, options: NDNOptions, context: IListenerContext) -> None:
        """
        @raise hermes.errors.HermesError: where it can't be as the options say.
        """
        self.name = name
        self._options = options
        self._context = context
        dialer = LinkDialer(context.reactor, context.flows, context.network, self._joint, name)
        self.service = NameService(context.reactor, options, dialer.face, context.nodeName, self._store())
        self.service.table.maker = dialer.asked
        self._places: list[_Place] = []
        self._factories: list[StreamFaces] = []

    def _store(self) -> CachedContentStore | None:
        """
        The Content Store, where it is in a cache's store.
        """
        name, commons = self._options.cache, self._context.commons
        if name is None:
            return None
        cache = commons.get("cache", name)
        if cache is None:
            raise ListenError(f"no cache is called {name}")

        def store() -> Any:
            now = commons.get("cache", name)
            return None if now is None else now.store

        return CachedContentStore(self._context.reactor, store, cache.options.size)

    def _joint(self) -> tuple[IAttachable, IAttachable]:
        return joint(self._context.reactor)

    # Binding

    @property
    def binds(self) -> tuple[str, ...]:
        """
        See L{IListener}.
        """
        return tuple(_placeOf(FaceAddress.fromText(text)) for text in self._options.bind)

    def reserve(self, leaving: Sequence[IListener] = ()) -> Callable[[], None]:
        """
        See L{IListener}.
        """
        network, held = self._context.network, list[Callable[[], None]]()

        def giveBack() -> None:
            for each in held:
                each()

        try:
            for text in self._options.bind:
                address = FaceAddress.fromText(text)
                reserve = network.reserveDatagrams if address.transport == "udp" else network.reserveStreams
                try:
                    held.append(reserve(_placeOf(address), bindsOf(leaving)))
                except Exception as error:
                    raise cannotListen(text, error) from error
            for interface in self._options.multicast:
                for _, socket in self._groups(interface):
                    socket.stopListening()
        except BaseException:
            giveBack()
            raise
        return giveBack

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        # What comes at once finds it.
        self.service.start()
        try:
            for text in self._options.bind:
                try:
                    self._places.append(await self._bind(FaceAddress.fromText(text)))
                except Exception as error:
                    raise cannotListen(text, error) from error
            for interface in self._options.multicast:
                self._join(interface)
        except Exception:
            await self.stop()
            self.service.stop()
            raise
        self._context.commons.offer("ndn", self.name, self.service)

    async def _bind(self, address: FaceAddress) -> _Place:
        options, table, network = self._options, self.service.table, self._context.network
        text, place = str(address), _placeOf(address)
        if address.transport == "udp":
            faces = UDPFaces(table, network.datagramSocket(place), options.idle, options.maxPeers, options.mtu)
            return _Place(text, faces.getHost, faces.stop)
        factory = WebSocketFaces(table, options.origins) if address.transport == "ws" else StreamFaces(table)
        port: IListeningPort = await network.streamServer(place).listen(factory)
        self._factories.append(factory)
        uri = ofAddress(factory.transport, port.getHost())
        table.accepts(port, lambda: [uri])

        def stop() -> Any:
            table.accepts(port, None)
            return port.stopListening()

        return _Place(text, port.getHost, stop)

    def _join(self, interface: str) -> None:
        """
        Have a face to the neighbours on a network.
        """
        mtu = self._options.mtu
        more = {} if mtu is None else {"mtu": mtu}
        self.service.addGroups(
            interface, [multicastFace(socket, group, interface, **more) for group, socket in self._groups(interface)]
        )

    def _groups(self, interface: str) -> list[tuple[Any, IDatagramSocket]]:
        """
        Join them, those of one of the two versions of IP at least: a network may have only one.
        """
        joined = []
        problem: OSError | None = None
        for group in GROUPS:
            try:
                joined.append((group, self._context.network.multicastSocket(group, interface)))
            except OSError as error:
                problem = error
        if problem is not None and not joined:
            raise ListenError(f"can't join the groups of NDN on {interface}: {problem.strerror or problem}")
        return joined

    def stop(self) -> Deferred[None]:
        """
        Accept nothing more. Faces that were accepted by UDP end with their socket: one that is bound and takes nobody
        new would swallow what is sent to its successor.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        places, self._places = self._places, []
        for place in places:
            await maybeDeferred(place.stop)

    def drain(self) -> None:
        """
        A face can't be asked to finish: what is asked through it is asked again elsewhere.
        """
        self._end()

    def abort(self) -> None:
        self._end()
        for transport in self.connections:
            transport.abortConnection()

    def _end(self) -> None:
        self._context.commons.withdraw("ndn", self.name, self.service)
        self.service.stop()

    @property
    def connections(self) -> list[Any]:
        """
        The transports of the connections that are open.
        """
        return [transport for factory in self._factories for transport in factory.transports()]

    def getHost(self) -> object:
        if not self._places and self._options.bind:
            raise ListenError(f"{self.name} does not listen")
        return Places(tuple(map(str, self._places)))

    def status(self) -> dict[str, Any]:
        """
        See L{IListener}.
        """
        return self.service.status()

    # A reload

    def reconfigurable(self, options: NDNOptions) -> bool:
        """
        See L{IListener}.
        """
        self.service.check(options)
        return fixed(options) == fixed(self._options)

    def reconfigure(self, options: NDNOptions) -> None:
        """
        The same.
        """
        self._options = options
        self.service.configure(options)

    def routesChanged(self) -> None:
        """
        The same: a face that found no way may have one now.
        """
        self.service.retry()

    # Flows that end here

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        try:
            self.service.checkRoom()
        except FlowError as error:
            return fail(error)
        near, far = self._joint()
        near.attach(protocol)
        self._take(INDNFace(far), flow, "tcp")
        return succeed(protocol)

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        try:
            self.service.checkRoom()
        except FlowError as error:
            return fail(error)
        near, far = channelPair()
        near.setReceiver(receiver)
        self._take(INDNFace(far), flow, "udp")
        return succeed(receiver)

    def connectPackets(self, flow: Flow, receiver: IPacketReceiver) -> Deferred[IPacketReceiver]:
        return fail(NotImplementedHere("a forwarder of NDN takes no IP packets"))

    def _take(self, face: Any, flow: Flow, transport: str) -> None:
        """
        A flow has become a face.
        """
        if flow.identity.node is not None:
            face.remoteURI = f"hermes://{flow.identity.node}"
        elif flow.source is not None:
            face.remoteURI = ofAddress(transport, flow.source)
        else:
            face.remoteURI = f"hermes://{flow.identity}"
        face.localURI = f"{transport}://{flow.target}"
        face.peer = flow.identity.node
        self.service.add(face)


@implementer(IPlugin, IListenerType)
class NDNListenerType:
    """
    C{type: ndn}.
    """

    type = "ndn"
    options = NDNOptions
    ends = ("tcp", "udp")

    def listener(self, name: str, options: Any, context: IListenerContext) -> IListener:
        return NDNListener(name, options, context)
