"""
Tests of L{hermes.ndn.management.modules.fib}.
"""

from __future__ import annotations

from ndn.app_support import nfd_mgmt
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.name import Name
from hermes.test.ndn.management.nodes import App, Node
from hermes.test.ndn.management.test_statuses import fromPeer

A = Name.fromText("/a")


class FIBModuleTests(SynchronousTestCase):
    """
    Commands and dataset.
    """

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(self.node.stop)
        self.app, self.other = App(self.node), App(self.node)

    def test_nextHopsComeAndGo(self) -> None:
        response = self.app.command("fib/add-nexthop", name=A, faceID=self.other.id, cost=7)
        self.assertEqual((response.code, response.text), (200, "Success"))
        self.assertEqual((response.parameters.faceID, response.parameters.cost), (self.other.id, 7))
        self.assertEqual(self.node.fib(), {"/a": {self.other.id: 7}})
        response = self.app.command("fib/remove-nexthop", name=A, faceID=self.other.id)
        self.assertEqual((response.code, response.parameters.faceID), (200, self.other.id))
        self.assertEqual(self.node.fib(), {})

    def test_withoutAFaceItIsTheProgramsOwn(self) -> None:
        for faceID in (None, 0):
            response = self.app.command("fib/add-nexthop", name=A, faceID=faceID)
            self.assertEqual((response.parameters.faceID, response.parameters.cost), (self.app.id, 0))
            self.assertEqual(self.node.fib(), {"/a": {self.app.id: 0}})
            self.app.command("fib/remove-nexthop", name=A, faceID=faceID)
            self.assertEqual(self.node.fib(), {})

    def test_removingWhatIsNotThereIsNoError(self) -> None:
        self.assertEqual(self.app.command("fib/remove-nexthop", name=A, faceID=9999).code, 200)

    def test_aFaceThatIsNotThereIsToldSo(self) -> None:
        response = self.app.command("fib/add-nexthop", name=A, faceID=9999)
        self.assertEqual((response.code, response.text), (410, "Face not found"))

    def test_aLongPrefixIsToldSo(self) -> None:
        response = self.app.command("fib/add-nexthop", name=Name.fromText("/a" * 33))
        self.assertEqual((response.code, response.text), (414, "FIB entry prefix cannot exceed 32 components"))
        self.assertEqual(self.app.command("fib/add-nexthop", name=Name.fromText("/a" * 32)).code, 200)

    def test_itIsListed(self) -> None:
        self.app.command("fib/add-nexthop", name=A, cost=7)
        self.app.command("fib/add-nexthop", name=A, faceID=self.other.id, cost=3)
        entries = nfd_mgmt.FibStatus.parse(self.app.dataset("fib/list")).entries
        self.assertEqual([str(fromPeer(entry.name)) for entry in entries], ["/a", "/localhost/nfd"])
        hops = [(hop.face_id, hop.cost) for hop in entries[0].next_hop_records]
        self.assertEqual(hops, [(self.other.id, 3), (self.app.id, 7)])
