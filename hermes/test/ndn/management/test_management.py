"""
Tests of L{hermes.ndn.management.management} and L{hermes.ndn.management.dispatcher}, on a forwarder.
"""

from __future__ import annotations

from ndn.app_support import nfd_mgmt
from ndn.encoding import InterestParam, make_interest
from ndn.security import DigestSha256Signer
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.authorization import Authorizer, TrustedKey
from hermes.ndn.management.commands import Command, Module, Rule
from hermes.ndn.management.control import ControlResponse
from hermes.ndn.management.management import Trust
from hermes.ndn.management.statuses import FaceEvent
from hermes.ndn.packet.component import SEQUENCE, generic, isNumber, number
from hermes.ndn.packet.data import Data, decodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekInterest
from hermes.ndn.security.keychain import Keychain
from hermes.test.ndn.management.nodes import App, Node, PlainFace


class ManagementTests(SynchronousTestCase):
    """
    Commands, datasets and notifications, asked for over a face.
    """

    def setUp(self) -> None:
        self.node = Node()
        self.app = App(self.node)
        self.addCleanup(self.node.stop)

    def test_pythonNdnsCommandsOfBothVersionsAreObeyed(self) -> None:
        old = nfd_mgmt.make_command("rib", "register", name="/old")
        new = nfd_mgmt.make_command_v2("rib", "register", name="/new")
        for wire in (
            make_interest(old, InterestParam(nonce=1, lifetime=1000)),
            make_interest(new, InterestParam(nonce=2), b"", DigestSha256Signer(for_interest=True)),
        ):
            data = self.app.ask(bytes(wire))
            assert isinstance(data, Data)
            response = nfd_mgmt.parse_response(bytes(data.content))
            self.assertEqual((response["status_code"], response["status_text"]), (200, "Success"))
            self.assertEqual(response["face_id"], self.app.id)
            self.assertEqual(data.metaInfo.freshness, 1000)
        self.assertEqual(self.node.fib(), {"/old": {self.app.id: 0}, "/new": {self.app.id: 0}})

    def test_whatIsRegisteredIsAskedFor(self) -> None:
        producer, consumer = App(self.node), App(self.node)
        producer.serve("/a/b", b"hello")
        self.assertEqual(consumer.get("/a/b"), 150)
        producer.command("rib/register", name=Name.fromText("/a"))
        data = consumer.get("/a/b")
        assert isinstance(data, Data)
        self.assertEqual(bytes(data.content), b"hello")

    def test_aProgramThatEndsTakesItsPrefixesAlong(self) -> None:
        producer = App(self.node)
        producer.command("rib/register", name=Name.fromText("/a"))
        producer.close()
        self.assertEqual((self.node.fib(), list(self.node.management.rib)), ({}, []))

    def test_aCommandWithoutSignatureIsRefused(self) -> None:
        name = Name.fromText("/localhost/nfd/rib/register") + generic(b"\x68\x00")
        data = self.app.ask(encodeInterest(name, nonce=1))
        assert isinstance(data, Data)
        response = ControlResponse.decode(data.content)
        self.assertEqual((response.code, response.text), (403, "authorization rejected"))
        self.assertEqual(self.node.management.dispatcher.rejected, 1)

    def test_aCommandThatIsMalformedIsToldSo(self) -> None:
        for name in ("/rib/register", "/rib/register/xx", "/rib/register/seg=1", "/faces/create/%68%01"):
            data = self.app.ask(self.app.signer.encode(Name.fromText("/localhost/nfd" + name), nonce=1))
            assert isinstance(data, Data)
            response = ControlResponse.decode(data.content)
            self.assertEqual((response.code, response.text), (400, "Malformed command"))
            self.assertEqual(nfd_mgmt.parse_response(bytes(data.content))["status_code"], 400)

    def test_aCommandWithWrongParametersIsToldSo(self) -> None:
        for verb, parameters in (
            ("rib/register", {}),
            ("rib/register", {"name": Name.fromText("/a"), "uri": "x"}),
            ("faces/update", {"flags": 1}),
            ("faces/destroy", {}),
        ):
            response = self.app.command(verb, **parameters)
            self.assertEqual((response.code, response.text), (400, "failed in validating parameters"))

    def test_anUnknownVerbIsToldSoAndAnUnknownModuleIsSilent(self) -> None:
        response = self.app.command("rib/frobnicate")
        self.assertEqual((response.code, response.text), (501, "Unsupported command"))
        self.assertIsNone(self.app.ask(self.app.commandWire("frob/list")))
        for name in ("/localhost/nfd", "/localhost/nfd/rib", "/localhost/nfd/rib/seg=0"):
            self.assertIsNone(self.app.get(name))

    def test_aCommandThatFailsIsToldSo(self) -> None:
        waiting: list[Deferred[ControlResponse]] = [Deferred()]

        def bad(parameters: object, origin: object) -> ControlResponse:
            raise RuntimeError("bad")

        commands = {"now": Command(Rule(), bad), "later": Command(Rule(), lambda *which: waiting[0])}
        self.node.management.dispatcher.add(Module("test", commands, {}))
        self.assertEqual(self.app.command("test/now").code, 500)
        self.assertIsNone(self.app.ask(self.app.commandWire("test/later")))
        waiting[0].errback(RuntimeError("bad"))
        self.assertEqual(ControlResponse.decode(decodeData(self.app.data[0].wire).content).code, 500)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_anAnswerMayComeLater(self) -> None:
        waiting: Deferred[ControlResponse] = Deferred()
        self.node.management.dispatcher.add(Module("test", {"later": Command(Rule(), lambda *which: waiting)}, {}))
        self.assertIsNone(self.app.ask(self.app.commandWire("test/later")))
        waiting.callback(ControlResponse.of(200, "OK"))
        self.assertEqual(ControlResponse.decode(decodeData(self.app.data[0].wire).content).text, "OK")

    def test_aLargeDatasetComesInSegments(self) -> None:
        for index in range(1000):
            self.app.command("rib/register", name=Name.fromText(f"/prefix/{index}"))
        content = self.app.dataset("rib/list")
        self.assertGreater(len(content), 16_000)
        entries = nfd_mgmt.RibStatus.parse(content).entries
        self.assertEqual(len(entries), 1000)
        self.assertEqual({entry.routes[0].face_id for entry in entries}, {self.app.id})

    def test_aSegmentOfAVersionThatIsGoneIsSilent(self) -> None:
        self.assertIsNone(self.app.get("/localhost/nfd/rib/list/v=5/seg=0"))
        self.assertIsNone(self.app.get("/localhost/nfd/rib/list/v=5", canBePrefix=True))

    def test_aDatasetIsAsOfNow(self) -> None:
        self.assertEqual(self.app.dataset("rib/list"), b"")
        self.app.command("rib/register", name=Name.fromText("/a"))
        self.assertNotEqual(self.app.dataset("rib/list"), b"")

    def test_pynfdcsSignedInterestsGetDatasetsToo(self) -> None:
        wire = make_interest(
            "/localhost/nfd/status/general",
            InterestParam(nonce=7, can_be_prefix=True, must_be_fresh=True),
            b"",
            DigestSha256Signer(for_interest=True),
        )
        data = self.app.ask(bytes(wire))
        assert isinstance(data, Data)
        status = nfd_mgmt.GeneralStatus.parse(bytes(data.content))
        self.assertTrue(status.nfd_version.startswith("hermes-"))
        self.assertEqual(status.n_fib_entries, 1)

    def test_facesAreNotifiedOf(self) -> None:
        self.node.clock.advance(2)
        first = encodeInterest(
            Name.fromText("/localhost/nfd/faces/events"), canBePrefix=True, mustBeFresh=True, nonce=1, lifetime=60_000
        )
        self.assertIsNone(self.app.ask(first))
        other = App(self.node)
        data = decodeData(self.app.data[0].wire)
        event = FaceEvent.decode(data.content)
        self.assertEqual((event.kind, event.faceID, event.uri, event.scope), (1, other.id, "fd://7", 1))
        self.assertTrue(isNumber(data.name[-1], SEQUENCE))
        kinds = []
        other.close()
        for index in range(number(data.name[-1]) + 1, number(data.name[-1]) + 4):
            data = self.app.get(f"/localhost/nfd/faces/events/seq={index}")  # type: ignore[assignment]
            event = FaceEvent.decode(data.content)
            self.assertEqual(event.faceID, other.id)
            kinds.append(event.kind)
        self.assertEqual(kinds, [3, 4, 2])
        self.assertIsNone(self.app.get(f"/localhost/nfd/faces/events/seq={index + 1}"))

    def test_nobodyElsewhereIsAnswered(self) -> None:
        far = PlainFace(self.node, local=False)
        self.node.faces.add(far)
        for name in ("/localhost/nfd/rib/list", "/localhop/nfd/rib/list"):
            view = peekInterest(encodeInterest(Name.fromText(name), nonce=1, canBePrefix=True))
            self.node.forwarder.receiveInterest(far, view)
            # As if the forwarder had let it pass.
            self.node.management.face.sendInterest(view, None, far.id)
            self.node.clock.advance(0)
        self.assertEqual(far.data, [])

    def test_onlyKeysThatAreKnownAreObeyedWhereThereAreSome(self) -> None:
        keychain = Keychain(self.mktemp(), self.node.now)
        certificate = keychain.createKey(Name.fromText("/operator"))
        trust = Trust(Authorizer([TrustedKey(certificate, ("rib",))], self.node.now))
        node = Node(trust=trust)
        self.addCleanup(node.stop)
        stranger, operator = App(node), App(node, keychain.signer(certificate.keyName))
        self.assertEqual(stranger.command("rib/register", name=Name.fromText("/a")).code, 403)
        self.assertEqual(operator.command("faces/destroy", faceID=stranger.id).code, 403)
        wire = operator.commandWire("rib/register", name=Name.fromText("/a"))
        for nonce, code in enumerate((200, 403)):
            # The Nonce is not signed: whoever sends it again may change it.
            data = operator.ask(peekInterest(wire).withNonce(nonce).wire)
            assert isinstance(data, Data)
            self.assertEqual(ControlResponse.decode(data.content).code, code)

    def test_neighboursRegisterTowardsThemselvesWhereTheyMay(self) -> None:
        trust = Trust(Authorizer(None, self.node.now), Authorizer(None, self.node.now))
        node = Node(trust=trust)
        self.addCleanup(node.stop)
        app, far = App(node), PlainFace(node, local=False)
        node.faces.add(far)

        def command(verb: str, **parameters: object) -> int:
            far.data.clear()
            node.forwarder.receiveInterest(far, peekInterest(app.commandWire(verb, "/localhop/nfd", **parameters)))
            node.clock.advance(0)
            return ControlResponse.decode(decodeData(far.data[0].wire).content).code if far.data else 0

        self.assertEqual(command("rib/register", name=Name.fromText("/a")), 200)
        self.assertEqual(node.fib(), {"/a": {far.id: 0}})
        self.assertEqual(command("rib/register", name=Name.fromText("/a"), faceID=app.id), 403)
        self.assertEqual(command("rib/register", name=Name.fromText("/localhost/x")), 403)
        self.assertEqual(command("rib/unregister", name=Name.fromText("/a"), faceID=app.id), 403)
        self.assertEqual(command("rib/unregister", name=Name.fromText("/a")), 200)
        self.assertEqual(command("faces/destroy", faceID=app.id), 0)
        self.assertEqual(node.fib(), {})

    def test_onceStoppedItIsSilent(self) -> None:
        node = Node()
        app = App(node)
        app.command("rib/register", name=Name.fromText("/a"), expiration=60_000)
        node.management.stop()
        self.assertEqual(app.ask(app.commandWire("rib/list")), 150)
        node.forwarder.stop()
        self.assertEqual([call for call in node.clock.getDelayedCalls() if call.active()], [])
