"""
Tests of L{hermes.ndn.management.modules.faces}.
"""

from __future__ import annotations

from ndn.app_support import nfd_mgmt
from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import TargetTimeout
from hermes.ndn.face.congestion import CongestionMarker
from hermes.ndn.face.uri import FaceAddress
from hermes.ndn.interfaces import INDNFace, Persistency
from hermes.ndn.management.statuses import ChannelStatus, FaceQueryFilter
from hermes.test.ndn.management.nodes import App, Node, PlainFace


class MarkingFace(PlainFace):
    """
    One that sets congestion marks.
    """

    def __init__(self, node: Node, uri: str) -> None:
        super().__init__(node, local=False, uri=uri)
        self.marker = CongestionMarker()


class FaceModuleTests(SynchronousTestCase):
    """
    Commands and datasets.
    """

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(self.node.stop)
        self.app = App(self.node)
        self.node.faces.maker = self.make
        self.made: list[tuple[str, Persistency, int | None, int]] = []

    def make(self, address: FaceAddress, persistency: Persistency, mtu: int | None, flags: int) -> INDNFace:
        """
        Make a face.
        """
        if address.transport == "unix":
            raise ValueError("unix sockets are not dialed")
        self.made.append((address.uri, persistency, mtu, flags))
        face = MarkingFace(self.node, address.uri)
        face.persistency = persistency
        face.flags = flags
        return face

    def faces(self, content: bytes) -> list[tuple[int, str]]:
        """
        What python-ndn reads.
        """
        return [(face.face_id, face.uri) for face in nfd_mgmt.FaceStatusMsg.parse(content).face_status]

    def test_aFaceIsMade(self) -> None:
        response = self.app.command(
            "faces/create",
            uri="udp4://192.0.2.1:6363",
            persistency=2,
            mtu=1400,
            flags=2,
            mask=6,
            congestionInterval=50_000_000,
            congestionThreshold=10_000,
        )
        self.assertEqual((response.code, response.text), (200, "OK"))
        self.assertEqual(self.made, [("udp4://192.0.2.1:6363", "permanent", 1400, 2)])
        body = response.parameters
        self.assertEqual((body.faceID, body.uri, body.persistency), (257, "udp4://192.0.2.1:6363", 2))
        self.assertEqual((body.flags, body.localURI), (2, "udp4://192.0.2.9:6363"))
        self.assertEqual((body.congestionInterval, body.congestionThreshold), (50_000_000, 10_000))

    def test_thereIsOneFaceToAPeer(self) -> None:
        first = self.app.command("faces/create", uri="udp4://192.0.2.1:6363")
        second = self.app.command("faces/create", uri="udp4://192.0.2.1:6363")
        self.assertEqual((second.code, second.text), (409, "Face with remote URI already exists"))
        self.assertEqual(second.parameters, first.parameters)
        self.assertEqual(len(self.made), 1)

    def test_whatIsNoFaceURIIsToldSo(self) -> None:
        for uri, code in (("192.0.2.1", 400), ("frob://x", 406), ("udp4://[::1]:1", 406), ("unix:///x", 406)):
            self.assertEqual(self.app.command("faces/create", uri=uri).code, code, uri)
        self.assertEqual(self.app.command("faces/create", uri="udp4://192.0.2.1", persistency=1).code, 406)
        self.assertEqual(self.app.command("faces/create", uri="udp4://192.0.2.1", persistency=3).code, 400)
        self.assertEqual(self.app.command("faces/create", uri="udp4://192.0.2.1", localURI="x").code, 400)

    def test_aPeerThatCannotBeReachedIsToldSo(self) -> None:
        def create(*arguments: object) -> Deferred[INDNFace]:
            return fail(TargetTimeout("no answer"))

        self.node.faces.create = create  # type: ignore[method-assign, assignment]
        response = self.app.command("faces/create", uri="tcp4://192.0.2.1:6363")
        self.assertEqual((response.code, response.text), (504, "no answer"))

    def test_tooManyFacesAreToldSo(self) -> None:
        self.node.faces.maxFaces = len(self.node.faces)
        self.assertEqual(self.app.command("faces/create", uri="udp4://192.0.2.1:6363").code, 503)

    def test_aFaceIsChanged(self) -> None:
        faceID = self.app.command("faces/create", uri="udp4://192.0.2.1:6363").parameters.faceID
        response = self.app.command(
            "faces/update", faceID=faceID, persistency=2, flags=6, mask=2, congestionThreshold=7, mtu=1300
        )
        self.assertEqual((response.code, response.text), (200, "OK"))
        body = response.parameters
        self.assertEqual((body.persistency, body.flags, body.congestionThreshold, body.mtu), (2, 2, 7, 1300))
        self.assertIsNone(body.uri)
        self.assertEqual(self.app.command("faces/update", faceID=faceID, flags=0, mask=6).parameters.flags, 0)

    def test_aProgramChangesItsOwnFace(self) -> None:
        response = self.app.command("faces/update", flags=1, mask=1)
        self.assertEqual((response.code, response.parameters.faceID), (200, self.app.id))
        self.assertEqual(self.app.flags, 1)

    def test_whatAFaceCannotBeIsToldSo(self) -> None:
        faceID = self.app.command("faces/create", uri="udp4://192.0.2.1:6363").parameters.faceID
        response = self.app.command("faces/update", faceID=faceID, flags=1, mask=1, persistency=1, mtu=1)
        self.assertEqual((response.code, response.text), (409, "Invalid properties specified"))
        self.assertEqual((response.parameters.flags, response.parameters.persistency), (1, 1))
        self.assertEqual(self.app.command("faces/update", persistency=0).code, 409)
        self.assertEqual(self.app.command("faces/update", persistency=7).code, 409)
        response = self.app.command("faces/update", faceID=9999, flags=1, mask=1)
        self.assertEqual((response.code, response.text), (404, "Specified face does not exist"))

    def test_aFaceIsEnded(self) -> None:
        other = App(self.node)
        for _ in range(2):
            response = self.app.command("faces/destroy", faceID=other.id)
            self.assertEqual((response.code, response.parameters.faceID), (200, other.id))
            self.assertIsNone(self.node.faces.get(other.id))
        self.assertEqual(self.app.command("faces/destroy", faceID=1).code, 403)
        self.assertEqual(self.app.command("faces/destroy", faceID=0).code, 400)

    def test_facesAreListed(self) -> None:
        faceID = self.app.command("faces/create", uri="udp4://192.0.2.1:6363", persistency=2).parameters.faceID
        content = self.app.dataset("faces/list")
        self.assertEqual(
            self.faces(content), [(1, "internal://"), (self.app.id, "fd://7"), (faceID, "udp4://192.0.2.1:6363")]
        )
        internal, app, far = nfd_mgmt.FaceStatusMsg.parse(content).face_status
        self.assertEqual(internal.face_scope, nfd_mgmt.FaceScope.LOCAL)
        self.assertEqual(internal.face_persistency, nfd_mgmt.FacePersistency.PERMANENT)
        self.assertEqual(app.local_uri, "unix:///run/ndn.sock")
        self.assertEqual(app.n_out_data, 1)
        self.assertEqual(app.face_persistency, nfd_mgmt.FacePersistency.ON_DEMAND)
        self.assertEqual(far.face_scope, nfd_mgmt.FaceScope.NON_LOCAL)
        self.assertEqual(far.link_type, nfd_mgmt.FaceLinkType.POINT_TO_POINT)
        self.assertEqual((far.mtu, far.default_congestion_threshold), (8800, 65536))
        self.assertEqual(far.base_congestion_mark_interval, 100_000_000)

    def test_aFaceTellsWhenItEnds(self) -> None:
        self.app.expires = 1.5
        [app] = nfd_mgmt.FaceStatusMsg.parse(
            self.app.dataset("faces/query", FaceQueryFilter(faceID=self.app.id).encode())
        ).face_status
        self.assertEqual(app.expiration_period, 1500)

    def test_facesAreQueried(self) -> None:
        other = App(self.node)
        for wanted, found in (
            (FaceQueryFilter(faceID=other.id), [other.id]),
            (FaceQueryFilter(uri="fd://7"), [self.app.id, other.id]),
            (FaceQueryFilter(scheme="internal"), [1]),
            (FaceQueryFilter(scope=0), []),
        ):
            content = self.app.dataset("faces/query", wanted.encode())
            self.assertEqual([faceID for faceID, _ in self.faces(content)], found)

    def test_aMalformedQueryIsToldSo(self) -> None:
        for name in ("/localhost/nfd/faces/query", "/localhost/nfd/faces/query/xx"):
            data = self.app.get(name, canBePrefix=True)
            self.assertEqual(data.metaInfo.contentType, 3)  # type: ignore[union-attr]
            response = nfd_mgmt.parse_response(bytes(data.content))  # type: ignore[union-attr]
            self.assertEqual((response["status_code"], response["status_text"]), (400, "Malformed filter"))

    def test_channelsAreListed(self) -> None:
        self.node.faces.accepts(self, lambda: ["tcp4://0.0.0.0:6363", "unix:///run/ndn.sock"])
        self.assertEqual(
            self.app.dataset("faces/channels"),
            ChannelStatus(localURI="tcp4://0.0.0.0:6363").encode()
            + ChannelStatus(localURI="unix:///run/ndn.sock").encode(),
        )
