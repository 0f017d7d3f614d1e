"""
The datasets and notifications of NFD's management protocol: faces, FIB, RIB, Content Store, strategies, the forwarder
itself. Sans-IO. TLV-TYPE numbers mean something else in each of them.
"""

from __future__ import annotations

from typing import ClassVar, Final

from attrs import define

from hermes.ndn.interfaces import LinkType, Persistency
from hermes.ndn.management.blocks import Block, block, named, number, text, wrappedName
from hermes.ndn.management.control import (
    CAPACITY,
    CONGESTION_INTERVAL,
    CONGESTION_THRESHOLD,
    COST,
    EXPIRATION,
    FACE_ID,
    FACE_PERSISTENCY,
    FLAGS,
    LOCAL_URI,
    MTU,
    ORIGIN,
    STRATEGY,
    URI,
)
from hermes.ndn.packet.name import Name

PERSISTENCIES: Final[tuple[Persistency, ...]] = ("persistent", "on-demand", "permanent")
LINK_TYPES: Final[tuple[LinkType, ...]] = ("point-to-point", "multi-access", "ad-hoc")
"""
FacePersistency and LinkType, by number.
"""

FACE_CREATED: Final = 1
FACE_DESTROYED: Final = 2
FACE_UP: Final = 3
FACE_DOWN: Final = 4
"""
FaceEventKind.
"""

_SCOPE = 0x84
_LINK_TYPE = 0x86


@define
class FaceStatus(Block):
    """
    One face, in C{faces/list} and C{faces/query}.

    @ivar expiration: until it ends by itself, in milliseconds.
    @ivar scope: 1 for a face to this host, 0 for others.
    @ivar flags: 1 local fields, 2 reliability, 4 congestion marking.
    """

    TYPE: ClassVar[int] = 0x80

    faceID: int = number(FACE_ID, required=True)
    uri: str = text(URI, required=True)
    localURI: str = text(LOCAL_URI, required=True)
    expiration: int | None = number(EXPIRATION)
    scope: int = number(_SCOPE, required=True, most=1)
    persistency: int = number(FACE_PERSISTENCY, required=True, most=2)
    linkType: int = number(_LINK_TYPE, required=True, most=2)
    congestionInterval: int | None = number(CONGESTION_INTERVAL)
    congestionThreshold: int | None = number(CONGESTION_THRESHOLD)
    mtu: int | None = number(MTU)
    inInterests: int = number(0x90, required=True)
    inData: int = number(0x91, required=True)
    inNacks: int = number(0x97, required=True)
    outInterests: int = number(0x92, required=True)
    outData: int = number(0x93, required=True)
    outNacks: int = number(0x98, required=True)
    inBytes: int = number(0x94, required=True)
    outBytes: int = number(0x95, required=True)
    flags: int = number(FLAGS, required=True)


@define
class ChannelStatus(Block):
    """
    Where faces are accepted, in C{faces/channels}.
    """

    TYPE: ClassVar[int] = 0x82

    localURI: str = text(LOCAL_URI, required=True)


@define
class FaceQueryFilter(Block):
    """
    Which faces C{faces/query} asks about: those that meet all that is given.

    @ivar scheme: of the remote or the local URI.
    """

    TYPE: ClassVar[int] = 0x96

    faceID: int | None = number(FACE_ID)
    scheme: str | None = text(0x83)
    uri: str | None = text(URI)
    localURI: str | None = text(LOCAL_URI)
    scope: int | None = number(_SCOPE)
    persistency: int | None = number(FACE_PERSISTENCY)
    linkType: int | None = number(_LINK_TYPE)

    def takes(self, status: FaceStatus) -> bool:
        """
        Whether a face is among those.
        """
        for each in ("faceID", "uri", "localURI", "scope", "persistency", "linkType"):
            wanted = getattr(self, each)
            if wanted is not None and wanted != getattr(status, each):
                return False
        schemes = (status.uri.partition(":")[0], status.localURI.partition(":")[0])
        return self.scheme is None or self.scheme in schemes


@define
class FaceEvent(Block):
    """
    What happened to a face, in C{faces/events}.

    @ivar kind: C{FACE_CREATED} and so on.
    """

    TYPE: ClassVar[int] = 0xC0

    kind: int = number(0xC1, required=True)
    faceID: int = number(FACE_ID, required=True)
    uri: str = text(URI, required=True)
    localURI: str = text(LOCAL_URI, required=True)
    scope: int = number(_SCOPE, required=True, most=1)
    persistency: int = number(FACE_PERSISTENCY, required=True, most=2)
    linkType: int = number(_LINK_TYPE, required=True, most=2)
    flags: int = number(FLAGS, required=True)


@define
class NextHop(Block):
    """
    One next hop of the FIB.
    """

    TYPE: ClassVar[int] = 0x81

    faceID: int = number(FACE_ID, required=True)
    cost: int = number(COST, required=True)


@define
class FIBEntryStatus(Block):
    """
    One prefix, in C{fib/list}.
    """

    TYPE: ClassVar[int] = 0x80

    name: Name = named(required=True)
    nextHops: tuple[NextHop, ...] = block(NextHop, many=True)


@define
class RouteStatus(Block):
    """
    One route of a prefix.

    @ivar flags: 1 child-inherit, 2 capture.
    @ivar expiration: until it ends, in milliseconds.
    """

    TYPE: ClassVar[int] = 0x81

    faceID: int = number(FACE_ID, required=True)
    origin: int = number(ORIGIN, required=True)
    cost: int = number(COST, required=True)
    flags: int = number(FLAGS, required=True)
    expiration: int | None = number(EXPIRATION)


@define
class RIBEntryStatus(Block):
    """
    One prefix, in C{rib/list}.
    """

    TYPE: ClassVar[int] = 0x80

    name: Name = named(required=True)
    routes: tuple[RouteStatus, ...] = block(RouteStatus, many=True)


@define
class StrategyChoice(Block):
    """
    The strategy of one prefix, in C{strategy-choice/list}.
    """

    TYPE: ClassVar[int] = 0x80

    name: Name = named(required=True)
    strategy: Name = wrappedName(STRATEGY, required=True)


@define
class ContentStoreInfo(Block):
    """
    The Content Store, in C{cs/info}.

    @ivar capacity: in packets, as NFD counts it.
    @ivar flags: 1 it takes Data in, 2 it answers.
    """

    TYPE: ClassVar[int] = 0x80

    capacity: int = number(CAPACITY, required=True)
    flags: int = number(FLAGS, required=True)
    entries: int = number(0x87, required=True)
    hits: int = number(0x81, required=True)
    misses: int = number(0x82, required=True)


@define
class ForwarderStatus(Block):
    """
    The forwarder, in C{status/general}: its elements are the content itself.

    @ivar started: in milliseconds since 1970.
    @ivar now: the same.
    """

    TYPE: ClassVar[int] = 0

    version: str = text(0x80, required=True)
    started: int = number(0x81, required=True)
    now: int = number(0x82, required=True)
    nameTreeEntries: int = number(0x83, required=True)
    fibEntries: int = number(0x84, required=True)
    pitEntries: int = number(0x85, required=True)
    measurementsEntries: int = number(0x86, required=True)
    csEntries: int = number(0x87, required=True)
    inInterests: int = number(0x90, required=True)
    inData: int = number(0x91, required=True)
    inNacks: int = number(0x97, required=True)
    outInterests: int = number(0x92, required=True)
    outData: int = number(0x93, required=True)
    outNacks: int = number(0x98, required=True)
    satisfiedInterests: int = number(0x99, required=True)
    unsatisfiedInterests: int = number(0x9A, required=True)
