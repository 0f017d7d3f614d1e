"""
Tests of L{hermes.ndn.management.statuses}. The oracle is python-ndn.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from ndn.app_support import nfd_mgmt
from ndn.encoding import Name as PeerName
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.statuses import (
    ChannelStatus,
    ContentStoreInfo,
    FaceEvent,
    FaceQueryFilter,
    FaceStatus,
    FIBEntryStatus,
    ForwarderStatus,
    NextHop,
    RIBEntryStatus,
    RouteStatus,
    StrategyChoice,
)
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.tlv import only
from hermes.test.ndn.management.test_control import names, numbers, quick, texts

optional = st.none() | numbers
faces = st.builds(
    FaceStatus,
    faceID=numbers,
    uri=texts,
    localURI=texts,
    expiration=optional,
    scope=st.integers(0, 1),
    persistency=st.integers(0, 2),
    linkType=st.integers(0, 2),
    congestionInterval=optional,
    congestionThreshold=optional,
    mtu=optional,
    inInterests=numbers,
    inData=numbers,
    inNacks=numbers,
    outInterests=numbers,
    outData=numbers,
    outNacks=numbers,
    inBytes=numbers,
    outBytes=numbers,
    flags=st.integers(0, 7),
)

COUNTERS = {
    "inInterests": "n_in_interests",
    "inData": "n_in_data",
    "inNacks": "n_in_nacks",
    "outInterests": "n_out_interests",
    "outData": "n_out_data",
    "outNacks": "n_out_nacks",
}
FACE_FIELDS = {
    **COUNTERS,
    "faceID": "face_id",
    "uri": "uri",
    "localURI": "local_uri",
    "expiration": "expiration_period",
    "congestionInterval": "base_congestion_mark_interval",
    "congestionThreshold": "default_congestion_threshold",
    "mtu": "mtu",
    "inBytes": "n_in_bytes",
    "outBytes": "n_out_bytes",
}
FORWARDER_FIELDS = {
    **COUNTERS,
    "version": "nfd_version",
    "started": "start_timestamp",
    "now": "current_timestamp",
    "nameTreeEntries": "n_name_tree_entries",
    "fibEntries": "n_fib_entries",
    "pitEntries": "n_pit_entries",
    "measurementsEntries": "n_measurement_entries",
    "csEntries": "n_cs_entries",
    "satisfiedInterests": "n_satisfied_interests",
    "unsatisfiedInterests": "n_unsatisfied_interests",
}


def fromPeer(value: object) -> Name:
    """
    A name as python-ndn has it.
    """
    return Name.fromValue(b"".join(map(bytes, value)))  # type: ignore[call-overload]


def aFace(**changes: object) -> FaceStatus:
    """
    A face of UDP.
    """
    zeros = dict.fromkeys([*COUNTERS, "inBytes", "outBytes", "flags", "linkType", "persistency", "scope"], 0)
    given = {"faceID": 256, "uri": "udp4://192.0.2.1:6363", "localURI": "udp4://192.0.2.2:6363"}
    return FaceStatus(**{**zeros, **given, **changes})  # type: ignore[arg-type]


class FaceStatusTests(SynchronousTestCase):
    """
    Faces.
    """

    @quick
    @given(faces)
    def test_pythonNdnReadsThem(self, ours: FaceStatus) -> None:
        theirs = nfd_mgmt.FaceStatusMsg.parse(ours.encode() + ours.encode()).face_status
        self.assertEqual(len(theirs), 2)
        for each, peer in FACE_FIELDS.items():
            self.assertEqual(getattr(theirs[1], peer), getattr(ours, each), each)
        self.assertEqual(theirs[1].face_scope.value, ours.scope)
        self.assertEqual(theirs[1].face_persistency.value, ours.persistency)
        self.assertEqual(theirs[1].link_type.value, ours.linkType)
        self.assertEqual(theirs[1].flags.value, ours.flags)

    @quick
    @given(faces)
    def test_pythonNdnWritesThemSo(self, ours: FaceStatus) -> None:
        message = nfd_mgmt.FaceStatusMsg.parse(ours.encode())
        self.assertEqual(bytes(message.encode()), ours.encode())
        self.assertEqual(FaceStatus.decode(ours.encode()), ours)

    def test_aFilterTakesWhatMeetsAllOfIt(self) -> None:
        face = aFace()
        for taken in (
            FaceQueryFilter(),
            FaceQueryFilter(faceID=256),
            FaceQueryFilter(scheme="udp4", linkType=0),
            FaceQueryFilter(uri="udp4://192.0.2.1:6363", localURI="udp4://192.0.2.2:6363"),
            FaceQueryFilter(scope=0, persistency=0),
        ):
            self.assertTrue(taken.takes(face), taken)
        for refused in (
            FaceQueryFilter(faceID=257),
            FaceQueryFilter(scheme="udp"),
            FaceQueryFilter(faceID=256, scope=1),
            FaceQueryFilter(localURI="udp4://192.0.2.1:6363"),
        ):
            self.assertFalse(refused.takes(face), refused)
        self.assertTrue(FaceQueryFilter(scheme="tcp4").takes(aFace(uri="fd://7", localURI="tcp4://127.0.0.1:6363")))

    @quick
    @given(st.none() | numbers, st.none() | texts, st.none() | texts, st.none() | st.integers(0, 2))
    def test_pythonNdnWritesFiltersSo(
        self, faceID: int | None, uri: str | None, scheme: str | None, linkType: int | None
    ) -> None:
        theirs = nfd_mgmt.FaceQueryFilter()
        theirs.face_query_filter = nfd_mgmt.FaceQueryFilterValue()
        theirs.face_query_filter.face_id = faceID
        theirs.face_query_filter.uri = uri
        theirs.face_query_filter.uri_scheme = scheme
        theirs.face_query_filter.link_type = linkType
        ours = FaceQueryFilter(faceID=faceID, uri=uri, scheme=scheme, linkType=linkType)
        self.assertEqual(FaceQueryFilter.decode(bytes(theirs.encode())), ours)

    def test_pythonNdnReadsEvents(self) -> None:
        ours = FaceEvent(
            kind=2, faceID=300, uri="tcp4://192.0.2.1:6363", localURI="", scope=0, persistency=1, linkType=0, flags=0
        )
        theirs = nfd_mgmt.FaceEventNotification.parse(ours.encode()).event
        self.assertEqual(theirs.face_event_kind, nfd_mgmt.FaceEventKind.DESTROYED)
        self.assertEqual((theirs.face_id, theirs.uri), (300, "tcp4://192.0.2.1:6363"))
        self.assertEqual(FaceEvent.decode(ours.encode()), ours)

    def test_aChannelIsBytes(self) -> None:
        channel = ChannelStatus(localURI="tcp4://0.0.0.0:6363")
        self.assertEqual(channel.encode(), b"\x82\x15\x81\x13tcp4://0.0.0.0:6363")
        self.assertEqual(ChannelStatus.decode(channel.encode()), channel)


class TableTests(SynchronousTestCase):
    """
    FIB, RIB, strategies, Content Store, forwarder.
    """

    @quick
    @given(names, st.lists(st.tuples(numbers, numbers), max_size=4))
    def test_pythonNdnReadsTheFIB(self, name: Name, hops: list[tuple[int, int]]) -> None:
        ours = FIBEntryStatus(name=name, nextHops=tuple(NextHop(faceID=face, cost=cost) for face, cost in hops))
        [theirs] = nfd_mgmt.FibStatus.parse(ours.encode()).entries
        self.assertEqual(fromPeer(theirs.name), name)
        self.assertEqual([(each.face_id, each.cost) for each in theirs.next_hop_records], hops)
        self.assertEqual(FIBEntryStatus.decode(ours.encode()), ours)

    @quick
    @given(names, st.lists(st.tuples(numbers, numbers, numbers, st.integers(0, 3), optional), max_size=4))
    def test_pythonNdnReadsTheRIB(self, name: Name, routes: list[tuple[int, int, int, int, int | None]]) -> None:
        ours = RIBEntryStatus(
            name=name,
            routes=tuple(
                RouteStatus(faceID=face, origin=origin, cost=cost, flags=flags, expiration=expiration)
                for face, origin, cost, flags, expiration in routes
            ),
        )
        [theirs] = nfd_mgmt.RibStatus.parse(ours.encode()).entries
        self.assertEqual(fromPeer(theirs.name), name)
        self.assertEqual(
            [
                (each.face_id, each.origin, each.cost, each.flags.value, each.expiration_period)
                for each in theirs.routes
            ],
            routes,
        )
        self.assertEqual(RIBEntryStatus.decode(ours.encode()), ours)

    def test_pythonNdnReadsStrategies(self) -> None:
        name = "/localhost/nfd/strategy/best-route/v=5"
        ours = StrategyChoice(name=Name.fromText("/"), strategy=Name.fromText(name))
        [theirs] = nfd_mgmt.StrategyChoiceMsg.parse(ours.encode()).strategy_choices
        self.assertEqual(PeerName.to_str(theirs.strategy.name), PeerName.to_str(PeerName.from_str(name)))
        self.assertEqual(StrategyChoice.decode(ours.encode()), ours)

    def test_pythonNdnReadsTheContentStore(self) -> None:
        ours = ContentStoreInfo(capacity=7000, flags=3, entries=5, hits=2, misses=1)
        # python-ndn's class is what is in the element.
        start, stop = only(ours.encode(), 0x80, "CsInfo")
        theirs = nfd_mgmt.CsInfo.parse(ours.encode()[start:stop])
        self.assertEqual((theirs.capacity, theirs.flags, theirs.n_cs_entries), (7000, 3, 5))
        self.assertEqual((theirs.n_hits, theirs.n_misses), (2, 1))
        self.assertEqual(ContentStoreInfo.decode(ours.encode()), ours)

    @quick
    @given(st.lists(numbers, min_size=15, max_size=15), texts)
    def test_pythonNdnReadsTheForwarder(self, values: list[int], version: str) -> None:
        given = dict(zip([each for each in FORWARDER_FIELDS if each != "version"], values, strict=True))
        ours = ForwarderStatus(version=version, **given)
        theirs = nfd_mgmt.GeneralStatus.parse(ours.encode())
        for each, peer in FORWARDER_FIELDS.items():
            self.assertEqual(getattr(theirs, peer), getattr(ours, each), each)
        self.assertEqual(bytes(theirs.encode()), ours.encode())
        self.assertEqual(ForwarderStatus.decode(ours.encode()), ours)
