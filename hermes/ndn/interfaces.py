"""
The roles of Named Data Networking: faces, the forwarder that they feed, strategies, the Content Store.

Views (L{hermes.ndn.packet.peek.InterestView}, L{hermes.ndn.packet.peek.DataView}) are packets as a forwarder reads
them; their C{wire} is L{bytes} of its own, which nobody changes, so that a view may be kept and sent as often as
wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from hermes.ndn.forwarder.actions import Actions
    from hermes.ndn.forwarder.pitentry import PITEntry
    from hermes.ndn.forwarder.port import Port
    from hermes.ndn.packet.peek import DataView, InterestView

LinkType: TypeAlias = Literal["point-to-point", "multi-access", "ad-hoc"]
"""
Whether a face has one peer, several who all hear each other, or several who may not.
"""

Persistency: TypeAlias = Literal["on-demand", "persistent", "permanent"]
"""
When a face ends by itself: when it is idle or its peer goes (on-demand); when its peer goes for good, or after an error
that trying again can't mend (persistent); never (permanent).
"""

INTERNAL_FACE: Final = 1
CONTENT_STORE_FACE: Final = 254
FIRST_FACE: Final = 256
"""
Face IDs (NFD): the face to the forwarder's own management, what Data from the Content Store is said to come from, and
the first that a face table gives away.
"""


class INDNFace(Interface):
    """
    A way to neighbours, or to an application: what Interests, Data and Nacks come from and go to.

    It is had by adaptation: C{INDNFace(transport)} for an L{hermes.interfaces.IDatagramChannel} and for an
    L{hermes.interfaces.IStreamTransport}. Sending is best effort and returns at once: what the link can't take waits in
    a queue that is bounded, the oldest whole packets are dropped first, and counted. What is sent within one turn may
    leave together at its end. After the face went down sending does nothing.
    """

    id = Attribute(
        "C{int}: its number in the face table, L{FIRST_FACE} or above; 0 before it is in one. Never used twice."
    )
    local = Attribute("C{bool}: its scope: whether its peer is on this host, so that /localhost may cross it.")
    linkType = Attribute("L{LinkType}.")
    persistency = Attribute("L{Persistency}; can be set.")
    remoteURI = Attribute("C{str}: a Face URI of the peer, such as C{udp4://192.0.2.1:6363} or C{fd://12}.")
    localURI = Attribute("C{str}: a Face URI of our end, such as C{unix:///run/hermes/ndn.sock}.")
    mtu = Attribute(
        "C{int}: the largest packet in bytes that the link carries in one piece; what is larger is fragmented "
        "(NDNLPv2). More than any packet has, on a stream. Can be set."
    )
    counters = Attribute(
        "L{hermes.ndn.face.counters.FaceCounters}: inInterests, inData, inNacks, outInterests, outData, outNacks, "
        "inPackets, outPackets, inBytes, outBytes (as in NFD's FaceStatus), droppedPackets, malformedPackets and more."
    )
    up = Attribute("C{bool}: whether what is sent now may arrive. A persistent face that reconnects is down meanwhile.")
    flags = Attribute(
        "C{int}: NFD's face flags, can be set: 1 local fields (NextHopFaceId is obeyed and IncomingFaceId is sent), "
        "2 reliability, 4 congestion marking."
    )
    expires = Attribute("C{float} or L{None}: seconds until an on-demand face is idle for too long, as things are.")

    def sendInterest(view: InterestView, pitToken: bytes | None = None, incomingFace: int | None = None) -> None:
        """
        Send C{view.wire}.

        @param pitToken: 1 to 32 bytes that the peer's Data or Nack for it will come with, where it has any sense of it.
        @param incomingFace: the face that it came from; is told only to a face with local fields enabled.
        """

    def sendData(
        view: DataView, pitToken: bytes | None = None, congestionMark: int = 0, incomingFace: int | None = None
    ) -> None:
        """
        Send C{view.wire}.

        @param pitToken: the token that the Interest came with on this face.
        @param congestionMark: the mark that it came with, 0 for none. The face may set one of its own.
        """

    def sendNack(
        view: InterestView, reason: int, pitToken: bytes | None = None, incomingFace: int | None = None
    ) -> None:
        """
        Answer an Interest that came from here with a Nack (NDNLPv2): reason 50 congestion, 100 duplicate, 150 no route,
        0 none given.
        """

    def close() -> None:
        """
        End it. Observers are told once it has.
        """


class IFaceReceiver(Interface):
    """
    What faces feed with what they receive; the forwarder is one. What is called must not raise.
    """

    def receiveInterest(
        face: INDNFace,
        view: InterestView,
        pitToken: bytes | None = None,
        nextHop: int | None = None,
        congestionMark: int = 0,
    ) -> None:
        """
        An Interest came.

        @param nextHop: the face that it is to leave by, whatever the FIB says (NextHopFaceId); only from faces with
            local fields enabled.
        """

    def receiveData(
        face: INDNFace,
        view: DataView,
        pitToken: bytes | None = None,
        congestionMark: int = 0,
        cachePolicy: int | None = None,
    ) -> None:
        """
        Data came.

        @param pitToken: the token that the Interest was sent with on this face.
        @param cachePolicy: 1: it should not be kept (CachePolicyType NoCache).
        """

    def receiveNack(face: INDNFace, reason: int, view: InterestView, pitToken: bytes | None = None) -> None:
        """
        A Nack came for an Interest that was sent there.
        """

    def interestLost(face: INDNFace, view: InterestView) -> None:
        """
        The reliability of a face has given up on an Interest: its peer has not acknowledged it.
        """


class IFaceObserver(Interface):
    """
    Hears of faces as they come and go.
    """

    def faceCreated(face: INDNFace) -> None:
        """
        It is in the table now. C{faceUp} follows, at once where its link is up.
        """

    def faceUp(face: INDNFace) -> None:
        """
        What is sent may get through: its link has come up, or has come up again (C{face.up}).
        """

    def faceDown(face: INDNFace) -> None:
        """
        Nothing gets through any more: for now, where the table still has it; else it has ended.
        """

    def faceDestroyed(face: INDNFace) -> None:
        """
        It has ended, and its ID is nobody's any more. Comes after C{faceDown} where it was up.
        """


class IFaceTable(Interface):
    """
    The faces of a forwarder.
    """

    receiver = Attribute("L{IFaceReceiver}: what its faces feed.")

    def __iter__() -> Iterator[INDNFace]:
        """
        All faces, in order of their IDs.
        """

    def __len__() -> int:
        """
        How many there are.
        """

    def get(faceID: int) -> INDNFace | None:
        """
        The face with this ID.
        """

    def byURI(remoteURI: str, localURI: str | None = None) -> INDNFace | None:
        """
        The face to a peer, the oldest where there are several.
        """

    def add(face: INDNFace) -> INDNFace:
        """
        Take a face in: gives it its ID and tells the observers. It leaves when it has ended.

        @raise hermes.errors.Overloaded: where there are too many; the face is closed.
        """

    def create(
        remoteURI: str,
        localURI: str | None = None,
        persistency: Persistency = "persistent",
        mtu: int | None = None,
        flags: int = 0,
    ) -> Deferred[INDNFace]:
        """
        Make a face to a peer, or find the one that there is (see NFD's faces/create): fires once it is in the table,
        which is before its link is up where that takes time.

        Errback with C{ValueError}, with a sentence, for a URI that no face can be made to; with
        L{hermes.errors.FlowError} where the peer can't be reached.
        """

    def channels() -> Sequence[str]:
        """
        The Face URIs that faces are accepted at.
        """

    def addObserver(observer: IFaceObserver) -> None:
        """
        Tell C{observer} from now on; first of every face that there is, as if it had been created now.
        """

    def removeObserver(observer: IFaceObserver) -> None:
        """
        Tell it nothing any more.
        """


class IStrategy(Interface):
    """
    Decides where Interests go and when to try elsewhere: one instance for each prefix that it was chosen for.

    A strategy acts by what it was made with (see L{IStrategyType}); it must not keep entries after they were satisfied
    or have timed out. Faces are ports here, which is what the forwarder makes of them
    (L{hermes.ndn.forwarder.port.Port}). What is to be called says L{hermes.ndn.forwarder.strategies.base.Strategy} of
    a strategy that derives from it; of others, all methods are.
    """

    def afterInterest(port: Port, view: InterestView, entry: PITEntry) -> None:
        """
        An Interest was entered into the PIT, new or again (another Nonce, another face), and no Data was in the Content
        Store.
        """

    def beforeSatisfy(port: Port, view: DataView, entry: PITEntry) -> None:
        """
        Data came for an entry, and will be sent to its downstream faces now.
        """

    def afterNack(port: Port, reason: int, view: InterestView, entry: PITEntry) -> None:
        """
        An upstream face has answered with a Nack. Where all have, and the entry is still there afterwards, it goes.
        """

    def onTimeout(entry: PITEntry) -> None:
        """
        The entry has expired, unsatisfied, and is forgotten when this returns.
        """

    def onLost(port: Port, view: InterestView, entry: PITEntry) -> None:
        """
        An Interest that was sent to a face, or the answer, will not arrive: the face's reliability has given up
        (L{IFaceReceiver.interestLost}), its link has gone down (C{port.up}), or it has ended (C{port.attached}).
        """

    def onNewNextHop(port: Port, entry: PITEntry) -> None:
        """
        The FIB has got a next hop that the entry could use.
        """


class IStrategyType(Interface):
    """
    A strategy that prefixes can be given: a Twisted plugin that provides this.
    """

    type = Attribute("C{str}: how the configuration calls it, such as C{best-route}.")
    name = Attribute(
        "C{str}: the URI of its name without a version, such as C{/localhost/nfd/strategy/best-route}, as management "
        "calls it."
    )
    version = Attribute("C{int}: the version component of its name.")

    def strategy(forwarder: Actions, parameters: Sequence[bytes] = ()) -> IStrategy:
        """
        Make one.

        @param forwarder: what it acts by.
        @param parameters: the values of the name's components after the version.

        @raise ValueError: with a sentence, where the parameters are none of its own.
        """


class IContentStore(Interface):
    """
    Keeps Data for later Interests, within bounds.
    """

    capacity = Attribute("C{int}: how many bytes it may hold; can be set, and what is too much leaves at once.")
    heldBytes = Attribute("C{int}: how many it holds, with what an entry costs beside its packet.")
    admit = Attribute("C{bool}: whether it takes Data in; can be set.")
    serve = Attribute("C{bool}: whether it answers; can be set.")
    hits = Attribute("C{int}: how often it had an answer.")
    misses = Attribute("C{int}: how often it had none.")

    def __len__() -> int:
        """
        How many packets it holds.
        """

    def insert(view: DataView, unsolicited: bool = False) -> None:
        """
        Keep Data.

        @param unsolicited: nobody has asked for it.
        """

    def find(view: InterestView) -> DataView | Deferred[DataView | None] | None:
        """
        Data that answers an Interest: CanBePrefix, MustBeFresh and an implicit digest are heeded.

        A store that has to read it from somewhere returns a Deferred, such as one that keeps packets by their implicit
        digest among the objects of others (L{hermes.ndnstore}). Meanwhile the Interest waits in the PIT; it is
        forwarded where that fires with L{None}.
        """

    def erase(prefix: bytes, limit: int | None = None) -> int:
        """
        Drop what is under a prefix (a name's value), C{limit} packets at most; returns how many.
        """

    def holds(prefix: bytes) -> bool:
        """
        Whether there is anything under a prefix (a name's value).
        """
