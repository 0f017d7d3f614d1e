"""
The kernel's sockets, as the rest of Hermes asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any
from weakref import WeakKeyDictionary

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint, IStreamServerEndpoint
from zope.interface import implementer

from hermes.interfaces import IDatagramChannel, IDatagramSocket, INetwork, IServerCredentials
from hermes.net.endpoints import StreamClientEndpoint, StreamServerEndpoint, openTransport
from hermes.net.failures import flowError
from hermes.net.handover import holdBeside
from hermes.net.kernelerrors import MissingCapability
from hermes.net.multicast import joinGroup
from hermes.net.resolution import resolve
from hermes.net.sockets import (
    Bound,
    adopt,
    bindDatagrams,
    bindStreams,
    discardReceived,
    openDatagrams,
    parsePlace,
    setMark,
)
from hermes.net.transport import StreamTransport
from hermes.net.udp import UDPChannel, UDPSocket
from hermes.values import Address, Target

STREAM = "stream"
DATAGRAM = "datagram"


def _checkMark(instance: object, attribute: Any, mark: int | None) -> None:
    if mark is not None:
        checkMark(mark)


def checkMark(mark: int) -> None:
    """
    Whether this process may mark sockets: better an error now than with each connection.

    @raise MissingCapability: where it may not.
    """
    with socket(AF_INET, SOCK_DGRAM) as probe:
        try:
            setMark(probe, mark)
        except PermissionError as error:
            raise MissingCapability("marking sockets", number=error.errno or 0) from error


@implementer(INetwork)
@define(eq=False)
class Network:
    """
    Sockets in a reactor.

    @ivar reactor: provides C{IReactorFDSet}, C{IReactorTime} and C{IReactorPluggableNameResolver}.
    @ivar reusePort: whether other processes may bind the same ports; the kernel shares out what arrives.
    @ivar mode: the permissions of Unix sockets' files, in place of what the umask leaves.
    @ivar mark: what the packets of all these sockets are marked with, listening ones and what they accept too, so that
        rules of routing can tell them: see L{hermes.net.kernelroutes.Outside}. Sockets that are in use keep the mark
        that they have. Without CAP_NET_ADMIN, setting it raises L{MissingCapability}.
    @ivar inherited: descriptors of sockets that this process was given, bound, by (L{STREAM} or L{DATAGRAM}, what the
        configuration says): they are used in place of new ones. They stay open, so that a reload can use them again.
    """

    reactor: Any
    reusePort: bool = False
    mode: int | None = None
    inherited: Mapping[tuple[str, str], int] = field(factory=dict)
    mark: int | None = field(default=None, validator=_checkMark)
    _reserved: dict[tuple[str, str], Bound] = field(factory=dict, init=False)
    _inUse: WeakKeyDictionary[Bound, tuple[str, str]] = field(factory=WeakKeyDictionary, init=False)

    def streamServer(
        self, bind: str, tls: IServerCredentials | None = None, proxyProtocol: bool = False
    ) -> IStreamServerEndpoint:
        """
        @raise ValueError: where C{bind} is none.
        """
        parsePlace(bind)
        return StreamServerEndpoint(self.reactor, bind, lambda: self._bound(STREAM, bind), tls, proxyProtocol)

    def streamClient(self, address: str, tls: Any = None) -> IStreamClientEndpoint:
        """
        @raise ValueError: where C{address} is none.
        """
        return StreamClientEndpoint(self.reactor, parsePlace(address), tls, mark=self.mark)

    def connectStream(self, target: Target, protocol: IProtocol, allowSpecial: bool = False) -> Deferred[IProtocol]:
        def attach(transport: StreamTransport) -> IProtocol:
            transport.attach(protocol)
            return protocol

        return openTransport(self.reactor, target, allowSpecial, mark=self.mark).addCallback(attach)

    def connectDatagrams(self, target: Target, allowSpecial: bool = False) -> Deferred[IDatagramChannel]:
        def connect(addresses: list[Address]) -> IDatagramChannel:
            error: OSError | None = None
            for address in addresses:
                try:
                    return UDPChannel(openDatagrams(address, self.mark), self.reactor)
                except OSError as reason:
                    error = error or reason
            raise flowError(error, str(target))

        return resolve(self.reactor, target, allowSpecial).addCallback(connect)

    def datagramSocket(self, bind: str) -> IDatagramSocket:
        return UDPSocket(self._bound(DATAGRAM, bind), self.reactor)

    def reserveStreams(self, bind: str, leaving: Collection[str] = ()) -> Callable[[], None]:
        return self._reserve(STREAM, bind, leaving)

    def reserveDatagrams(self, bind: str, leaving: Collection[str] = ()) -> Callable[[], None]:
        return self._reserve(DATAGRAM, bind, leaving)

    def _reserve(self, kind: str, bind: str, leaving: Collection[str]) -> Callable[[], None]:
        key = (kind, bind)
        place = parsePlace(bind)
        if key in self.inherited or key in self._reserved or (isinstance(place, Target) and not place.port):
            return lambda: None
        bound = self._hold(kind, bind, leaving)
        if bound is None:
            return lambda: None
        self._reserved[key] = bound

        def giveBack() -> None:
            if self._reserved.get(key) is bound:
                del self._reserved[key]
                bound.close()

        return giveBack

    def _hold(self, kind: str, bind: str, leaving: Collection[str]) -> Bound | None:
        others = {
            bound: each
            for bound, (used, each) in self._inUse.items()
            if used == kind and each in leaving and bound.socket.fileno() >= 0
        }
        for bound, each in others.items():
            if each == bind:
                return bound.share()
        try:
            return self._bind(kind, bind)
        except OSError as error:
            return holdBeside(bind, others, lambda each, shared: self._bind(kind, each, shared), error)

    def multicastSocket(self, group: Address, interface: str) -> IDatagramSocket:
        return UDPSocket(joinGroup(group, interface), self.reactor)

    def _bound(self, kind: str, bind: str) -> Bound:
        descriptor = self.inherited.get((kind, bind))
        if descriptor is not None:
            return adopt(descriptor, self.mark)
        bound = self._reserved.pop((kind, bind), None)
        if bound is None:
            bound = self._bind(kind, bind)
        else:
            # It may have been bound before there was a mark.
            setMark(bound.socket, self.mark)
            if kind == DATAGRAM and not bound.shared:
                discardReceived(bound.socket)
        self._inUse[bound] = (kind, bind)
        return bound

    def _bind(self, kind: str, bind: str, shared: bool = False) -> Bound:
        bindAny = bindStreams if kind == STREAM else bindDatagrams
        return bindAny(bind, self.reusePort or shared, self.mode, self.mark)
