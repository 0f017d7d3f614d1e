"""
What each command of C{nfdc} asks, and whether it can make something of the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.face.congestion import CongestionMarker
from hermes.ndn.face.udp import UDPFaces
from hermes.ndn.face.uri import FaceAddress
from hermes.ndn.interfaces import INDNFace, Persistency
from hermes.ndn.packet.data import Data, decodeData, encodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekData, peekInterest
from hermes.ndn.security.signers import DigestSigner
from hermes.test.fabric.fakes import FakeSocket
from hermes.test.ndn.management.nfdc import REPORT, STATIC, CommandError, Nfdc
from hermes.test.ndn.management.nodes import App, Node, PlainFace

URI = "udp4://192.0.2.1:6363"

PERSISTENT, ON_DEMAND, PERMANENT = 0, 1, 2


class NfdcTests(SynchronousTestCase):
    """
    At a forwarder in memory.
    """

    old = False

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(self.node.stop)
        self.node.faces.maker = self.make
        self.app = App(self.node)
        self.nfdc = Nfdc(self.app, self.old)

    def make(self, address: FaceAddress, persistency: Persistency, mtu: int | None, flags: int) -> INDNFace:
        """
        Make a face.
        """
        face: Any = PlainFace(self.node, local=False, uri=address.uri)
        face.marker = CongestionMarker()
        face.persistency, face.flags = persistency, flags
        return face  # type: ignore[no-any-return]

    def refused(self, code: int, command: Callable[..., object], *arguments: Any, **options: Any) -> dict[str, Any]:
        """
        Whether something is refused with this code.

        @return: the body.
        """
        with self.assertRaises(CommandError) as caught:
            command(*arguments, **options)
        error: CommandError = caught.exception
        self.assertEqual(error.code, code, error)
        return error.body

    def create(self, **parameters: Any) -> dict[str, Any]:
        """
        C{nfdc face create}.
        """
        return self.nfdc.command("faces/create", **{"uri": URI, "face_persistency": PERSISTENT, **parameters})

    # status

    def test_statusReport(self) -> None:
        self.create()
        self.nfdc.command("rib/register", name="/a", face_id=self.app.id, origin=STATIC, cost=0, flags=1)
        self.nfdc.command(
            "rib/register", name="/a", face_id=self.app.id, origin=0, cost=2, flags=3, expiration_period=9
        )
        self.app.data.clear()
        for name in REPORT:
            self.node.forwarder.receiveInterest(self.app, peekInterest(self.nfdc.interest(name)))
        self.node.clock.pump([0] * 50)
        firsts = [decodeData(data.wire) for data in self.app.data]
        self.assertEqual(len(firsts), len(REPORT))
        sections = {}
        for first in firsts:
            name = "/".join(str(first.name).split("/")[3:5])
            sections[name] = self.nfdc.read(name, self.nfdc.receive(first))
        self.assertEqual(set(sections), set(REPORT))
        self.assertEqual(len(sections["faces/list"]), 3)
        [entry] = sections["rib/list"]
        self.assertEqual([route[0x6F] for route in entry[0x81]], [bytes([STATIC]), b"\0"])
        self.assertEqual([0x6D in route for route in entry[0x81]], [False, True])
        self.assertIn(
            [{0x69: self.app.id.to_bytes(2, "big"), 0x6A: b"\0"}], [each[0x81] for each in sections["fib/list"]]
        )
        [status] = sections["status/general"]
        self.assertTrue(status[0x80].startswith(b"hermes-"))

    def test_aReportOfMuchComesInSegments(self) -> None:
        for index in range(600):
            self.nfdc.command("rib/register", name=f"/n/{index}", face_id=self.app.id, origin=STATIC, cost=0, flags=1)
        self.assertEqual(len(self.nfdc.dataset("rib/list")), 600)
        self.assertGreater(len(self.nfdc.dataset("fib/list")), 600)

    # face

    def test_faceList(self) -> None:
        faceID = self.create()["face_id"]
        # Without a word, its filter is empty.
        self.assertEqual(self.nfdc.faces(), [1, self.app.id, faceID])
        self.assertEqual(self.nfdc.faces(uri=URI), [faceID])
        local = {"local_uri": "udp4://192.0.2.9:6363"}
        self.assertEqual(self.nfdc.faces(scheme="udp4", uri=URI, **local), [faceID])
        self.assertEqual(self.nfdc.faces(scheme="unix"), [self.app.id])
        self.assertEqual(self.nfdc.faces(scheme="tcp4"), [])

    def test_faceShow(self) -> None:
        self.assertEqual(self.nfdc.faces(face_id=self.app.id), [self.app.id])
        self.assertEqual(self.nfdc.faces(face_id=70_000), [])

    def test_faceCreate(self) -> None:
        body = self.create(face_persistency=PERMANENT)
        self.assertEqual((body["uri"], body["face_persistency"], body["flags"]), (URI, PERMANENT, 0))
        self.assertEqual(body["base_congestion_mark_interval"], 100_000_000)

    def test_faceCreateWithAllItsWords(self) -> None:
        body = self.create(
            uri="tcp6://[2001:db8::1]:6363",
            face_persistency=PERMANENT,
            flags=2,
            mask=6,
            base_congestion_mark_interval=5_000_000,
            default_congestion_threshold=12_345,
            mtu=1400,
        )
        self.assertEqual(body["uri"], "tcp6://[2001:db8::1]:6363")
        self.assertEqual((body["flags"], body["default_congestion_threshold"]), (2, 12_345))
        self.assertEqual(self.nfdc.faces(uri="tcp6://[2001:db8::1]:6363"), [body["face_id"]])
        # Which way a face takes is for routes to say.
        self.refused(406, self.create, local_uri="udp4://192.0.2.9:6363")

    def test_faceCreateOfOneThatThereIs(self) -> None:
        first = self.create()
        # It compares the URI, the persistency and the flags with what it wants, and changes what is less.
        body = self.refused(409, self.create, face_persistency=PERMANENT)
        self.assertEqual({name: body[name] for name in first}, first)
        body = self.nfdc.command("faces/update", face_id=body["face_id"], face_persistency=PERMANENT, flags=2, mask=2)
        self.assertEqual((body["face_persistency"], body["flags"]), (PERMANENT, 2))
        body = self.nfdc.command(
            "faces/update", face_id=first["face_id"], flags=4, mask=4, default_congestion_threshold=7, mtu=1300
        )
        self.assertEqual((body["flags"], body["default_congestion_threshold"], body["mtu"]), (6, 7, 1300))

    def test_faceCreateToAPeerThatHasSentSomethingBefore(self) -> None:
        socket = FakeSocket()
        peers = UDPFaces(self.node.faces, socket, idle=60)
        self.addCleanup(peers.stop)
        socket.deliver(("192.0.2.1", 6363), encodeInterest(Name.fromText("/x"), nonce=1))
        body = self.refused(409, self.create)
        self.assertEqual((body["uri"], body["face_persistency"]), (URI, ON_DEMAND))
        faceID = body["face_id"]
        update = {"face_id": faceID, "face_persistency": PERSISTENT}
        self.assertEqual(self.nfdc.command("faces/update", **update)["face_persistency"], PERSISTENT)
        self.node.clock.advance(1000)
        [face] = self.nfdc.dataset("faces/query", uri=URI)
        # It does not expire.
        self.assertNotIn(0x6D, face)

    def test_faceCreateWithWhatCanNotBe(self) -> None:
        self.refused(406, self.create, uri="dev://eth0")
        self.refused(406, self.create, face_persistency=ON_DEMAND)
        self.refused(406, self.create, flags=1, mask=1)
        faceID = self.create()["face_id"]
        update = {"face_id": faceID, "flags": 1, "mask": 1, "mtu": 1}
        body = self.refused(409, self.nfdc.command, "faces/update", **update)
        self.assertEqual(body, {"flags": 1, "mask": 1, "mtu": 1})

    def test_faceDestroy(self) -> None:
        faceID = self.create()["face_id"]
        self.assertEqual(self.nfdc.faces(uri=URI), [faceID])
        self.assertEqual(self.nfdc.command("faces/destroy", face_id=faceID), {"face_id": faceID})
        self.assertEqual(self.nfdc.faces(uri=URI), [])

    # route, fib

    def test_routeAdd(self) -> None:
        self.assertEqual(self.nfdc.faces(face_id=self.app.id), [self.app.id])
        route = {"face_id": self.app.id, "origin": STATIC, "cost": 0, "flags": 1}
        self.assertEqual(self.nfdc.command("rib/register", name="/a", **route), {"name": "/a", **route})
        route = {"face_id": self.app.id, "origin": 17_591, "cost": 702, "flags": 2, "expiration_period": 727_411_987}
        self.assertEqual(self.nfdc.command("rib/register", name="/b", **route), {"name": "/b", **route})
        self.refused(410, self.nfdc.command, "rib/register", name="/a", face_id=70_000, origin=STATIC, cost=0, flags=1)

    def test_routeAddToAFaceThatIsNotThereYet(self) -> None:
        self.assertEqual(self.nfdc.faces(uri=URI), [])
        faceID = self.nfdc.command("faces/create", uri=URI)["face_id"]
        self.nfdc.command("rib/register", name="/a", face_id=faceID, origin=STATIC, cost=0, flags=1)
        self.assertEqual(self.node.fib(), {"/a": {faceID: 0}})

    def test_routeListAndShow(self) -> None:
        for name, origin in (("/a", STATIC), ("/b", 0)):
            self.nfdc.command("rib/register", name=name, face_id=self.app.id, origin=origin, cost=0, flags=1)
        names = [bytes(entry[0x07]) for entry in self.nfdc.dataset("rib/list")]
        self.assertEqual(names, [Name.fromText(name).value for name in ("/a", "/b")])

    def test_routeRemove(self) -> None:
        for origin in (STATIC, 0):
            self.nfdc.command("rib/register", name="/a", face_id=self.app.id, origin=origin, cost=0, flags=1)
        wanted = {"name": "/a", "face_id": self.app.id, "origin": STATIC}
        for _ in range(2):
            self.assertEqual(self.nfdc.command("rib/unregister", **wanted), wanted)
        [entry] = self.nfdc.dataset("rib/list")
        self.assertEqual([route[0x6F] for route in entry[0x81]], [b"\0"])

    # cs

    def fill(self, count: int) -> None:
        """
        Put Data into the Content Store.
        """
        for index in range(count):
            name = Name.fromText(f"/a/{index}")
            self.node.forwarder.cs.insert(peekData(encodeData(name, b"", DigestSigner())))

    def test_csInfoAndConfig(self) -> None:
        self.fill(3)
        [info] = self.nfdc.dataset("cs/info")
        self.assertEqual((info[0x6C], info[0x87]), (b"\3", b"\3"))
        self.assertEqual(self.nfdc.command("cs/config")["flags"], 3)
        body = self.nfdc.command("cs/config", capacity=29_850, flags=2, mask=3)
        self.assertEqual(body, {"capacity": 29_850, "flags": 2})

    def test_csErase(self) -> None:
        self.fill(257)
        self.assertEqual(self.nfdc.command("cs/erase", name="/a", count=1), {"name": "/a", "count": 1})
        # What it is told of the limit, it tells as that there is more.
        self.assertEqual(self.nfdc.command("cs/erase", name="/a"), {"name": "/a", "count": 256})
        self.fill(300)
        body = self.nfdc.command("cs/erase", name="/a")
        self.assertEqual((body["count"], body["capacity"]), (256, 256))
        self.assertEqual(self.nfdc.command("cs/erase", name="/a"), {"name": "/a", "count": 44})
        self.assertEqual(self.nfdc.command("cs/erase", name="/"), {"name": "/", "count": 0})

    # strategy

    def test_strategySetShowAndUnset(self) -> None:
        body = self.nfdc.command("strategy-choice/set", name="/a", strategy="/localhost/nfd/strategy/multicast")
        self.assertEqual(body, {"name": "/a", "strategy": "/localhost/nfd/strategy/multicast/v=4"})
        names = [bytes(choice[0x07]) for choice in self.nfdc.dataset("strategy-choice/list")]
        # What holds for a prefix is the longest of these: the root has to be there.
        self.assertEqual(names, [b"", Name.fromText("/a").value])
        self.assertEqual(self.nfdc.command("strategy-choice/unset", name="/a"), {"name": "/a"})
        # It says so in its own words.
        self.refused(404, self.nfdc.command, "strategy-choice/set", name="/a", strategy="/frob")

    # What else there is

    def test_aFilterThatIsNoneIsAnErrorAndNoWait(self) -> None:
        data = self.app.get("/localhost/nfd/faces/query/xx", canBePrefix=True, mustBeFresh=True)
        assert isinstance(data, Data)
        self.refused(500, self.nfdc.receive, data)


class OldNfdcTests(NfdcTests):
    """
    The same, of a release that signs as before packet format v0.3.
    """

    old = True
