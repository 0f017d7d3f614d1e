"""
What the tests of tunnels share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import NoRoute
from hermes.interfaces import (
    AddressRange,
    AssignedAddress,
    IAuthenticator,
    IBorrowingProtocol,
    IDatagramChannel,
    IDatagramReceiver,
    IFlowHandler,
    IPacketReceiver,
)
from hermes.values import Buffer, Flow


@implementer(IProtocol, IBorrowingProtocol, IHalfCloseableProtocol)
class Stream:
    """
    A protocol that writes down what happens to it.
    """

    transport: Any = None

    def __init__(self) -> None:
        self.received = b""
        self.readEnded = False
        self.writeEnded = False
        self.lost: Failure | None = None

    def makeConnection(self, transport: object) -> None:
        self.transport = transport

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: Buffer) -> None:
        self.received += bytes(data)

    def readConnectionLost(self) -> None:
        self.readEnded = True

    def writeConnectionLost(self) -> None:
        self.writeEnded = True

    def connectionLost(self, reason: Failure | None = None) -> None:
        assert self.lost is None
        self.lost = reason


@implementer(IDatagramReceiver)
class Datagrams:
    """
    A receiver that writes down what happens to it.

    @ivar batches: how many datagrams came at once.
    """

    channel: Any = None

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.batches: list[int] = []
        self.lost: Failure | None = None

    def channelConnected(self, channel: IDatagramChannel) -> None:
        self.channel = channel

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        self.received += map(bytes, datagrams)
        self.batches.append(len(datagrams))

    def channelLost(self, reason: Failure) -> None:
        assert self.lost is None
        self.lost = reason


@implementer(IPacketReceiver)
class Packets(Datagrams):
    """
    A receiver of frames that writes down what happens to it, and writes to what it is given.

    @ivar events: what came, in order: the name of what was called and its argument; for frames C{"frames"} and how
        many.
    """

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, Any]] = []

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        super().datagramsReceived(datagrams)
        self.events.append(("frames", len(datagrams)))
        for datagram in datagrams:
            view = memoryview(datagram)
            view[:] = b"!" * len(view)

    def mtuChanged(self, mtu: int) -> None:
        self.events.append(("mtu", mtu))

    def addressesAssigned(self, addresses: Sequence[AssignedAddress]) -> None:
        self.events.append(("assigned", addresses))

    def addressesRequested(self, addresses: Sequence[AssignedAddress]) -> None:
        self.events.append(("requested", addresses))

    def routesAdvertised(self, routes: Sequence[AddressRange]) -> None:
        self.events.append(("routes", routes))


@implementer(IFlowHandler)
class Flows:
    """
    A flow handler whose far sides the test opens.

    @ivar opening: the flows that were asked for, and the Deferreds that wait for the test.
    """

    def __init__(self) -> None:
        self.opening: list[tuple[Flow, Deferred[Any]]] = []
        self.cancelled = 0

    def _cancel(self, deferred: Deferred[Any]) -> None:
        self.cancelled += 1

    def openStream(self, flow: Flow) -> Deferred[IProtocol]:
        return self._open(flow)

    def openDatagrams(self, flow: Flow) -> Deferred[IDatagramReceiver]:
        return self._open(flow)

    def openPackets(self, flow: Flow) -> Deferred[IPacketReceiver]:
        return self._open(flow)

    def authorise(self, flow: Flow) -> None:
        raise NoRoute("nobody may")

    def _open(self, flow: Flow) -> Deferred[Any]:
        opened: Deferred[Any] = Deferred(self._cancel)
        self.opening.append((flow, opened))
        return opened

    @property
    def flow(self) -> Flow:
        """
        The last flow that was asked for.
        """
        return self.opening[-1][0]

    def stream(self) -> Stream:
        """
        Open the last flow.
        """
        near = Stream()
        self.opening[-1][1].callback(near)
        return near

    def datagrams(self) -> Datagrams:
        """
        Open the last flow.
        """
        near = Datagrams()
        self.opening[-1][1].callback(near)
        return near

    def packets(self) -> Packets:
        """
        Open the last flow.
        """
        near = Packets()
        self.opening[-1][1].callback(near)
        return near

    def fail(self, error: Exception) -> None:
        """
        Refuse the last flow.
        """
        self.opening[-1][1].errback(error)


@implementer(IAuthenticator)
@define
class Authenticator:
    """
    Knows users by the whole of their field.
    """

    users: dict[bytes, str] = field(factory=dict)
    required: bool = False

    def authenticate(self, authorization: bytes | None) -> str | None:
        return self.users.get(authorization) if authorization is not None else None

    def authenticatePassword(self, user: str, password: str) -> bool:
        return False

    def knownPassword(self, user: str, password: str) -> bool | None:
        return False
