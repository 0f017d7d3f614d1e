"""
Where packets come in and go out: one side of the switch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IPacketReceiver
from hermes.interfaces.packet import AddressRange, AssignedAddress
from hermes.ip.prefixes import IPAddress
from hermes.ip.ways import Ways
from hermes.values import ANONYMOUS, Buffer, Identity

HEADER: Final = 10
"""
What a frame has before its packet.
"""

DEFAULT_MTU: Final = 1500


class Port:
    """
    A device, a tunnel of somebody's, a tunnel to a hop.

    @cvar isHost: whether the kernel of this host is beyond it, which has the node's addresses too.
    @ivar name: for messages, status and capture.
    @ivar listener: the listener that it belongs to, as routes call it; empty for a tunnel to a hop.
    @ivar identity: who is beyond it.
    @ivar up: whether packets can be written.
    @ivar successor: the port that has taken its place: packets for it go there. L{GONE} where it is gone and none has,
        L{None} while it is there.
    @ivar limit: the length of the longest frame with an ordinary packet that crosses.
    @ivar ways: where packets go that came in here.
    @ivar taps: each is called with a direction, C{"in"} or C{"out"}, and the frames.
    """

    isHost: ClassVar[bool] = False

    def __init__(self, name: str, switch: Any, listener: str = "", identity: Identity = ANONYMOUS) -> None:
        """
        @param switch: L{hermes.ip.switch.PacketSwitch}.
        """
        self.name = name
        self.listener = listener
        self.identity = identity
        self.switch = switch
        self.up = False
        self.successor: Port | None = None
        self.limit = DEFAULT_MTU + HEADER
        self.ways = Ways()
        self.taps: tuple[Callable[[str, Sequence[Buffer]], None], ...] = ()
        self.packetsIn = 0
        self.bytesIn = 0
        self.packetsOut = 0
        self.bytesOut = 0

    @property
    def mtu(self) -> int:
        """
        The largest packet that crosses in one piece.
        """
        return self.limit - HEADER

    @property
    def dropped(self) -> int:
        """
        Frames that could not be sent in time.
        """
        return 0

    def mayCome(self, source: IPAddress) -> bool:
        """
        Whether a packet from C{source} may come in here (BCP 38).
        """
        raise NotImplementedError

    def mayGo(self, destination: IPAddress, protocol: int) -> bool:
        """
        Whether the tunnel through which it came in is for packets to C{destination} (RFC 9484 section 4.6).
        """
        return True

    def write(self, frames: Sequence[Buffer]) -> None:
        """
        Send frames, borrowed. Called only where it is C{up}.
        """
        raise NotImplementedError

    def missed(self) -> None:
        """
        There are packets for it, and it is not C{up}. A hook.
        """


GONE: Final = Port("gone", None)
"""
Stands for what is not there any more.
"""


@implementer(IPacketReceiver)
class ChannelPort(Port):
    """
    A port on one channel, whose receiver it is.

    @ivar channel: L{hermes.interfaces.IPacketChannel}; L{None} before it is connected, and when it is lost.
    @ivar lost: called once with the reason when the channel has ended.
    """

    def __init__(self, name: str, switch: Any, listener: str = "", identity: Identity = ANONYMOUS) -> None:
        super().__init__(name, switch, listener, identity)
        self.channel: Any = None
        self.lost: Callable[[Failure], None] = lambda reason: None

    @property
    def dropped(self) -> int:
        return 0 if self.channel is None else int(self.channel.droppedDatagrams)

    def channelConnected(self, channel: Any) -> None:
        self.channel = channel
        self.limit = channel.mtu + HEADER
        self.up = True
        self.connected()

    def connected(self) -> None:
        """
        The channel is there. A hook.
        """

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        self.switch.forward(self, datagrams)

    def channelLost(self, reason: Failure) -> None:
        self.channel = None
        self.up = False
        self.lost(reason)

    def mtuChanged(self, mtu: int) -> None:
        self.limit = mtu + HEADER

    def addressesAssigned(self, addresses: Sequence[AssignedAddress]) -> None:
        """
        Of no concern here.
        """

    def addressesRequested(self, addresses: Sequence[AssignedAddress]) -> None:
        """
        Of no concern here.
        """

    def routesAdvertised(self, routes: Sequence[AddressRange]) -> None:
        """
        Of no concern here.
        """

    def write(self, frames: Sequence[Buffer]) -> None:
        self.packetsOut += len(frames)
        self.bytesOut += sum(map(len, frames))
        for tap in self.taps:
            tap("out", frames)
        self.channel.write(frames)


class DevicePort(ChannelPort):
    """
    A TUN device: the kernel of this host is beyond it, and whatever that forwards for.
    """

    isHost = True

    def mayCome(self, source: IPAddress) -> bool:
        owner = self.switch.owners.find(source)
        return owner is None or owner is self or isinstance(owner, DevicePort)
