"""
A face: one end of a link, over any datagram channel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IDatagramChannel, IDatagramReceiver
from hermes.ndn.face.backlog import MAX_BATCH, Backlog
from hermes.ndn.face.congestion import CongestionMarker
from hermes.ndn.face.counters import FaceCounters
from hermes.ndn.face.link import CONGESTION_MARKING, LEAST_MTU, LOCAL_FIELDS, RELIABILITY, LinkService
from hermes.ndn.face.turn import Turn
from hermes.ndn.interfaces import IFaceReceiver, INDNFace, LinkType, Persistency
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.peek import DataView, InterestView, peekData, peekInterest
from hermes.ndn.packet.typenumbers import DATA, INTEREST, MAX_PACKET_SIZE
from hermes.values import Buffer

DEFAULT_MTU: Final = MAX_PACKET_SIZE
"""
Of a link of which nothing else is known, in bytes: no packet is cut. Over a tunnel that is right; what a socket
carries, its channel knows (C{maxDatagramSize}).
"""


@implementer(INDNFace, IDatagramReceiver)
class Face:
    """
    A face over an L{IDatagramChannel}; without one, it is down.

    It does nothing before it was started, which a face table does.

    @ivar marker: says when to set congestion marks.
    @ivar peer: the name of the node at its far end, where that was authenticated.
    @ivar ended: whether it was closed.
    """

    log = Logger()

    def __init__(
        self,
        channel: IDatagramChannel | None = None,
        remoteURI: str = "",
        localURI: str = "",
        local: bool = False,
        persistency: Persistency = "on-demand",
        linkType: LinkType = "point-to-point",
        mtu: int | None = None,
        flags: int = CONGESTION_MARKING,
    ) -> None:
        """
        @param mtu: where the link carries less in one piece than the channel says; at least L{LEAST_MTU}.
        @raise ValueError: where it is less.
        """
        if mtu is not None and mtu < LEAST_MTU:
            raise ValueError(f"an MTU of {mtu} is too small: {LEAST_MTU} is the least")
        self.id = 0
        self.local = local
        self.linkType = linkType
        self.persistency = persistency
        self.remoteURI = remoteURI
        self.localURI = localURI
        self.counters = FaceCounters()
        self.marker = CongestionMarker()
        self.peer: str | None = None
        self.up = False
        self.ended = False
        self._wantedMTU = mtu or DEFAULT_MTU
        self._mtu = mtu or DEFAULT_MTU
        self._flags = flags
        self._channel = channel
        self._out: list[bytes] = []
        self._congested = False
        self._markNext = False
        self._lost: Failure | None = None
        self._backlog = Backlog(self._take, self._caughtUp)
        # Whether nothing but what is said about a packet keeps it from crossing bare.
        self._bare = not flags & RELIABILITY
        self._changed: Callable[[Face, Failure | None], None] | None = None

    _receiver: IFaceReceiver
    _clock: IReactorTime
    _turn: Turn
    _link: LinkService

    def start(
        self,
        receiver: IFaceReceiver,
        clock: IReactorTime,
        turn: Turn,
        changed: Callable[[Face, Failure | None], None] | None = None,
    ) -> None:
        """
        Receive and send.

        @param changed: is called when a channel is there, with L{None}, and when it has ended, with the reason.
        """
        self._receiver = receiver
        self._clock = clock
        self._turn = turn
        self._changed = changed
        self._link = LinkService(self, receiver, clock)
        self._backlog.clock = clock
        channel, self._channel = self._channel, None
        if channel is not None:
            self.carry(channel)

    def carry(self, channel: IDatagramChannel) -> None:
        """
        Send and receive over C{channel} from now on. The one before has ended.
        """
        channel.setReceiver(self)

    @property
    def flags(self) -> int:
        return self._flags

    @flags.setter
    def flags(self, flags: int) -> None:
        self._flags = flags
        self._bare = not flags & RELIABILITY

    @property
    def mtu(self) -> int:
        """
        See L{INDNFace}. Whatever is set, it is no more than the channel carries.
        """
        return self._mtu

    @mtu.setter
    def mtu(self, mtu: int) -> None:
        self._wantedMTU = max(mtu, LEAST_MTU)
        if self._mtu <= 65_535:
            self._mtu = min(self._wantedMTU, 65_535 if self._channel is None else self._channel.maxDatagramSize)

    @property
    def expires(self) -> float | None:
        """
        See L{INDNFace}: its channel may know.
        """
        expires: float | None = getattr(self._channel, "expires", None)
        return expires

    # Sending

    def sendInterest(self, view: InterestView, pitToken: bytes | None = None, incomingFace: int | None = None) -> None:
        self.counters.outInterests += 1
        wire = view.wire
        if incomingFace is not None and not self._flags & LOCAL_FIELDS:
            incomingFace = None
        marked = view.congestionMark or self._markNext
        if pitToken is None and incomingFace is None and self._bare and not marked and len(wire) <= self._mtu:
            self.put(wire)
        else:
            self._say(wire, view, pitToken, view.congestionMark, incomingFace)

    def sendData(
        self, view: DataView, pitToken: bytes | None = None, congestionMark: int = 0, incomingFace: int | None = None
    ) -> None:
        self.counters.outData += 1
        wire = view.wire
        if incomingFace is not None and not self._flags & LOCAL_FIELDS:
            incomingFace = None
        marked = congestionMark or self._markNext
        if pitToken is None and incomingFace is None and self._bare and not marked and len(wire) <= self._mtu:
            self.put(wire)
        else:
            self._say(wire, None, pitToken, congestionMark, incomingFace)

    def sendNack(
        self, view: InterestView, reason: int, pitToken: bytes | None = None, incomingFace: int | None = None
    ) -> None:
        self.counters.outNacks += 1
        if not self._flags & LOCAL_FIELDS:
            incomingFace = None
        self._say(view.wire, None, pitToken, 0, incomingFace, reason)

    def _say(
        self,
        wire: bytes,
        view: InterestView | None,
        pitToken: bytes | None,
        congestionMark: int,
        incomingFace: int | None,
        nackReason: int | None = None,
    ) -> None:
        """
        Send a packet with what is said about it.
        """
        fields: dict[str, Any] = {}
        if pitToken is not None:
            fields["pitToken"] = pitToken
        if self._markNext:
            self._markNext = False
            self.counters.congestionMarks += 1
            fields["congestionMark"] = congestionMark or 1
        elif congestionMark:
            fields["congestionMark"] = congestionMark
        if incomingFace is not None:
            fields["incomingFace"] = incomingFace
        if nackReason is not None:
            fields["nackReason"] = nackReason
        self._link.send(wire, fields, view)

    def put(self, packet: bytes) -> None:
        """
        Send a link packet, with others of this turn.
        """
        out = self._out
        out.append(packet)
        if len(out) == 1:
            self._turn.add(self)

    def flush(self) -> None:
        """
        Send what was put.
        """
        out, self._out = self._out, []
        counters, channel = self.counters, self._channel
        if channel is None:
            self._withoutLink(out)
            return
        counters.outPackets += len(out)
        counters.outBytes += sum(map(len, out))
        channel.write(out)
        if self._flags & CONGESTION_MARKING:
            queued = getattr(channel, "bufferedBytes", 0)
            # Most of the time nothing waits.
            if queued > self.marker.threshold or self._congested:
                self._congested = queued > self.marker.threshold
                if self.marker.isDue(queued, self._clock.seconds()):
                    self._markNext = True

    def _withoutLink(self, packets: list[bytes]) -> None:
        """
        There is no link to send these over.
        """
        self.counters.drop(len(packets))

    # Receiving

    def channelConnected(self, channel: IDatagramChannel) -> None:
        self._channel = channel
        self.counters.follow(channel)
        most: int = channel.maxDatagramSize
        # A stream has no bound, whatever is wished.
        self._mtu = most if most > 65_535 else min(self._wantedMTU, most)
        self.up = True
        if self._changed is not None:
            self._changed(self, None)

    def datagramsReceived(self, datagrams: Sequence[Buffer]) -> None:
        self.received(datagrams)

    def received(self, datagrams: Sequence[Buffer], source: object = None) -> None:
        """
        Link packets have arrived, borrowed.

        @param source: who sent them, on a link that several send to.
        """
        backlog = self._backlog
        if len(datagrams) <= MAX_BATCH and not backlog.waiting:
            self._take(datagrams, source)
            return
        backlog.put(datagrams, source)
        if backlog.waiting:
            hold = getattr(self._channel, "holdReading", None)
            if hold is None:
                self.counters.drop(backlog.drop())
            else:
                hold()

    def _caughtUp(self) -> None:
        """
        All that has arrived was dealt with.
        """
        lost, self._lost = self._lost, None
        if lost is not None:
            self.channelLost(lost)
        else:
            goOn = getattr(self._channel, "goOnReading", None)
            if goOn is not None:
                goOn()

    def _take(self, datagrams: Sequence[Buffer], source: object) -> None:
        """
        Deal with link packets.
        """
        counters, receiver = self.counters, self._receiver
        counters.inPackets += len(datagrams)
        counters.inBytes += sum(map(len, datagrams))
        turn = self._turn
        turn.begin()
        try:
            for datagram in datagrams:
                wire = bytes(datagram)
                kind = wire[0] if wire else 0
                try:
                    if kind == INTEREST:
                        interest = peekInterest(wire)
                        counters.inInterests += 1
                        receiver.receiveInterest(self, interest)
                    elif kind == DATA:
                        data = peekData(wire)
                        counters.inData += 1
                        receiver.receiveData(self, data)
                    else:
                        self._link.receive(wire, source)
                except PacketError:
                    counters.malformed()
                except Exception:
                    # A strategy of an extension may have errors: they are no matter to what else this link brings.
                    self.log.failure("{uri}: a packet could not be dealt with", uri=self.remoteURI)
                if self._channel is None:
                    break
        finally:
            turn.end()

    def channelLost(self, reason: Failure) -> None:
        if self._backlog.waiting:
            # What had arrived before is taken.
            self._lost = reason
            return
        self.up = False
        self.counters.follow(None)
        self._channel = None
        self._congested = self._markNext = False
        self._link.reset()
        self._gone(reason)

    def _gone(self, reason: Failure) -> None:
        if self._changed is not None:
            self._changed(self, reason)

    def persists(self, reason: Failure) -> bool:
        """
        Whether the face will have another channel in place of the one that has ended.
        """
        return False

    def close(self) -> None:
        if self.ended:
            return
        self.ended = True
        channel, lost = self._channel, self._lost
        if channel is not None:
            self._backlog.clear()
            if lost is not None:
                self._lost = None
                self.channelLost(lost)
                return
            if self._out:
                self.flush()
            channel.loseChannel()
        else:
            self._gone(Failure(ConnectionDone()))
