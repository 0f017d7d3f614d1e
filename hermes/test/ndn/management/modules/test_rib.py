"""
Tests of L{hermes.ndn.management.modules.rib}.
"""

from __future__ import annotations

from ndn.app_support import nfd_mgmt
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.announcement import PrefixAnnouncement
from hermes.ndn.management.control import ControlResponse
from hermes.ndn.management.rib import ORIGIN_ANNOUNCEMENT
from hermes.ndn.packet.data import Data
from hermes.ndn.packet.name import Name
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.management.nodes import TIME, App, Node
from hermes.test.ndn.management.test_statuses import fromPeer

A = Name.fromText("/a")


class RIBModuleTests(SynchronousTestCase):
    """
    Commands and dataset.
    """

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(self.node.stop)
        self.app, self.other = App(self.node), App(self.node)

    def routes(self) -> list[tuple[str, int, int, int, int, int | None]]:
        """
        All routes, as python-ndn reads them.
        """
        return [
            (
                str(fromPeer(entry.name)),
                route.face_id,
                route.origin,
                route.cost,
                route.flags.value,
                route.expiration_period,
            )
            for entry in nfd_mgmt.RibStatus.parse(self.app.dataset("rib/list")).entries
            for route in entry.routes
        ]

    def announce(self, announcement: PrefixAnnouncement | bytes) -> ControlResponse:
        """
        Announce a prefix.
        """
        wire = announcement if isinstance(announcement, bytes) else announcement.encode(DigestSigner(), 1)
        name = Name.fromText("/localhost/nfd/rib/announce")
        data = self.app.ask(self.app.signer.encode(name, nonce=self.app.nonce(), parameters=wire))
        assert isinstance(data, Data)
        return ControlResponse.decode(data.content)

    def test_whatIsNotSaidIsAsNFDHasIt(self) -> None:
        response = self.app.command("rib/register", name=A)
        body = response.parameters
        self.assertEqual((response.code, response.text, body.name), (200, "Success", A))
        self.assertEqual((body.faceID, body.origin, body.cost, body.flags), (self.app.id, 0, 0, 1))
        self.assertEqual(self.routes(), [("/a", self.app.id, 0, 0, 1, None)])

    def test_allOfARouteCanBeSaid(self) -> None:
        response = self.app.command(
            "rib/register", name=A, faceID=self.other.id, origin=255, cost=9, flags=2, expiration=5000
        )
        self.assertEqual(response.parameters.expiration, 5000)
        self.node.clock.advance(1)
        self.assertEqual(self.routes(), [("/a", self.other.id, 255, 9, 2, 4000)])

    def test_routesExpire(self) -> None:
        self.app.command("rib/register", name=A, expiration=5000)
        self.app.command("rib/register", name=A, origin=255, expiration=3000)
        self.app.command("rib/register", name=Name.fromText("/b"), expiration=(1 << 63) - 1)
        self.app.command("rib/register", name=Name.fromText("/c"), expiration=4000)
        self.app.command("rib/unregister", name=Name.fromText("/c"))
        self.node.clock.advance(3)
        self.assertEqual([route[:3] for route in self.routes()], [("/a", self.app.id, 0), ("/b", self.app.id, 0)])
        self.node.clock.advance(2)
        self.assertEqual([route[0] for route in self.routes()], ["/b"])
        self.assertEqual(self.node.fib(), {"/b": {self.app.id: 0}})

    def test_whatHasExpiredAlreadyIsRemoved(self) -> None:
        self.app.command("rib/register", name=A)
        self.assertEqual(self.app.command("rib/register", name=A, expiration=0).code, 200)
        self.assertEqual(self.routes(), [])

    def test_aRouteIsRemoved(self) -> None:
        self.app.command("rib/register", name=A, origin=255)
        response = self.app.command("rib/unregister", name=A)
        self.assertEqual((response.code, response.parameters.origin), (200, 0))
        self.assertEqual(len(self.routes()), 1)
        self.app.command("rib/unregister", name=A, origin=255)
        self.assertEqual(self.routes(), [])

    def test_whatCannotBeRegisteredIsToldSo(self) -> None:
        for name, faceID, code, text in (
            ("/a" * 33, 0, 414, "Route prefix cannot exceed 32 components"),
            ("/a", 9999, 410, "Face not found"),
            ("/localhost/nfd", 0, 403, "The prefix is the forwarder's own"),
            ("/localhost/nfd/rib/x", 0, 403, "The prefix is the forwarder's own"),
            ("/localhop/hermes/prefixes", 0, 403, "The prefix is the forwarder's own"),
        ):
            response = self.app.command("rib/register", name=Name.fromText(name), faceID=faceID)
            self.assertEqual((response.code, response.text), (code, text))
        self.assertEqual(self.app.command("rib/register", name=Name.fromText("/localhop/nfd")).code, 200)

    def test_tooManyRoutesAreToldSo(self) -> None:
        self.node.management.rib._maxRoutes = 1
        self.assertEqual(self.app.command("rib/register", name=A).code, 200)
        self.assertEqual(self.app.command("rib/register", name=A, origin=255).code, 503)

    def test_aPrefixIsAnnounced(self) -> None:
        response = self.announce(PrefixAnnouncement(A, 3_600_000))
        body = response.parameters
        self.assertEqual((response.code, body.name, body.faceID), (200, A, self.app.id))
        self.assertEqual((body.origin, body.cost, body.flags, body.expiration), (ORIGIN_ANNOUNCEMENT, 0, 1, 3_600_000))
        self.assertEqual(self.routes(), [("/a", self.app.id, ORIGIN_ANNOUNCEMENT, 0, 1, 3_600_000)])

    def test_anAnnouncementIsGoodForItsTime(self) -> None:
        self.announce(PrefixAnnouncement(A, 3_600_000, TIME - 10, TIME + 4))
        self.assertEqual(self.routes()[0][-1], 5000)
        self.node.clock.advance(5)
        self.assertEqual(self.routes(), [])
        for announcement in (
            PrefixAnnouncement(A, 3_600_000, TIME - 10, TIME + 4),
            PrefixAnnouncement(A, 3_600_000, TIME + 100, TIME + 200),
            PrefixAnnouncement(A, 0),
            b"",
            b"\x06\x00",
        ):
            self.assertEqual(self.announce(announcement).code, 400)
        self.assertEqual(self.announce(PrefixAnnouncement(Name.fromText("/localhost/nfd"), 1000)).code, 403)
