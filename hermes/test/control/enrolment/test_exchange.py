"""
A node asks for its first certificate: who may, who may not, and who else is there.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from hermes.control.agent.files import Files
from hermes.control.enrolment.errors import EnrolmentRefused, IdentityBroken, NotTheController
from hermes.control.enrolment.exchange import ANSWER_TIME, ENROL, MAX_LINE
from hermes.control.enrolment.registrar import TOKEN_SECONDS
from hermes.control.enrolment.requests import makeKey, makeRequest
from hermes.control.enrolment.tokens import Token
from hermes.control.port import NodePort
from hermes.net.certificates import ClientCredentials
from hermes.test.control.channel.brokercase import Factory
from hermes.test.control.channel.test_hostilebytes import Raw
from hermes.test.control.portcase import CONTROLLER, PortCase
from hermes.testing.control.store import MemoryStore

OTHER = "other.example:7700"


class Raws(PortCase):
    """
    Requests as bytes.
    """

    def credentials_(self) -> ClientCredentials:
        """
        Of a node that has none of its own.
        """
        trust = self.credentials("x").trustFile
        return ClientCredentials(trustFile=trust, serverName="controller.hermes", protocols=(ENROL,))

    def raw(self) -> Raw:
        raw = Raw()
        self.wait(self.connect(CONTROLLER, self.credentials_()).connect(Factory(lambda: raw)))
        return raw

    def ask(self, line: bytes) -> dict[str, Any]:
        """
        The answer to a line.
        """
        raw = self.raw()
        raw.transport.write(line)
        self.wires.flush()
        self.assertTrue(raw.transport.disconnected)
        self.assertEqual(raw.received.count(b"\n"), 1)
        found: dict[str, Any] = json.loads(raw.received)
        return found

    def test_as_the_wire_specification_has_it(self) -> None:
        token = self.wait(self.port.registrar.enrol("edge"))
        request = {"token": token, "request": makeRequest(makeKey()), "later": "something"}
        answer = self.ask(json.dumps(request).encode() + b"\n")
        self.assertEqual(answer.keys(), {"error", "node", "certificate", "trust", "controllers"})
        self.assertEqual((answer["error"], answer["node"]), ("", "edge"))

    def test_what_is_no_request(self) -> None:
        for wrong in (b"\n", b"{}\n", b"[]\n", b"\xff\n", b'{"token": 5, "request": "x"}\n', b"[" * 20_000 + b"\n"):
            self.assertIn("can't be read", self.ask(wrong)["error"], wrong[:20])
        self.assertEqual(self.port.refusals.counts, {"malformed": 6})

    def test_more_than_a_line(self) -> None:
        raw = self.raw()
        raw.transport.write(b"x" * (MAX_LINE + 1))
        self.wires.flush()
        self.assertTrue(raw.transport.disconnected)
        self.assertEqual(raw.received, b"")
        self.assertEqual(self.port.refusals.counts, {"malformed": 1})

    def test_slowly(self) -> None:
        raw = self.raw()
        for _ in range(20):
            raw.transport.write(b"x")
            self.wires.advance(1.0)
        self.assertTrue(raw.transport.disconnected)
        self.assertEqual(self.port.refusals.counts, {"slow": 1})

    def test_the_controllers_mistakes_are_not_told(self) -> None:
        token = self.wait(self.port.registrar.enrol("edge"))
        raw = self.raw()
        self.store.fails = 1
        raw.transport.write(json.dumps({"token": token, "request": makeRequest(makeKey())}).encode() + b"\n")
        self.wires.advance(9.0)
        self.assertIn("its log says why", json.loads(raw.received)["error"])
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_a_certificate_is_no_way_in(self) -> None:
        """
        Who has one already comes in by it; here only tokens count.
        """
        raw = Raw()
        self.wait(self.connect(CONTROLLER, self.credentials("edge", ENROL)).connect(Factory(lambda: raw)))
        raw.transport.write(json.dumps({"token": "", "request": makeRequest(makeKey())}).encode() + b"\n")
        self.wires.flush()
        self.assertIn("not valid", json.loads(raw.received)["error"])


class Nodes(PortCase):
    """
    Nodes that join, and what comes between.
    """

    def token(self, node: str = "edge") -> str:
        found: str = self.wait(self.port.registrar.enrol(node))
        return found

    def makeOther(self) -> NodePort:
        """
        Another overlay's controller.
        """
        mine, self.store = self.store, MemoryStore(self.clock, latency=0.0)
        try:
            return self.makePort(OTHER)
        finally:
            self.store = mine

    def test_with_a_token_that_has_expired(self) -> None:
        token = self.token()
        self.clock.advance(TOKEN_SECONDS)
        member, _ = self.member(token)
        self.fails(member.start(), EnrolmentRefused)
        self.assertEqual(self.port.refusals.counts, {"token": 1})

    def test_with_a_guessed_token(self) -> None:
        guessed = Token.make(self.port.registrar.authority.fingerprint).toText()
        self.fails(self.member(guessed)[0].start(), EnrolmentRefused)

    def test_without_one(self) -> None:
        self.fails(self.member(None)[0].start(), IdentityBroken)

    def test_another_controller_is_not_told_the_token(self) -> None:
        other = self.makeOther()
        self.addCleanup(other.stop)
        asked: list[bytes] = []
        self.patch(other.registrar, "join", lambda *arguments: asked.append(arguments[0]))
        member, _ = self.member(self.token(), addresses=[OTHER])
        self.fails(member.start(), NotTheController)
        self.assertEqual(asked, [])

    def test_one_that_shows_the_right_authority_and_has_no_certificate_of_it_is_not_either(self) -> None:
        """
        Certificates are no secrets: whoever stands between can show them all.
        """
        other = self.makeOther()
        self.addCleanup(other.stop)
        files = other.certificate._files
        files.write("controller.pem", files.read("controller.pem") + self.port.registrar.authority.trust.encode())
        for each in other.certificate._credentials:
            each.reload()
        asked: list[object] = []
        self.patch(other.registrar, "join", lambda *arguments: asked.append(arguments))
        member, _ = self.member(self.token(), addresses=[OTHER])
        starting = member.start()
        self.wires.advance(5.0)
        self.assertNoResult(starting)
        self.assertEqual(asked, [])
        member.stop()
        self.failureResultOf(starting)

    def test_the_one_of_several_addresses_that_is_the_controllers(self) -> None:
        other = self.makeOther()
        self.addCleanup(other.stop)
        member, agents = self.member(self.token(), addresses=["nobody.example:1", OTHER, CONTROLLER])
        self.wait(member.start())
        self.assertEqual(agents[0].name, "edge")

    def test_a_controller_that_comes_later(self) -> None:
        token = self.token()
        listening = self.wires.listening.pop(CONTROLLER)
        member, _ = self.member(token)
        starting = member.start()
        self.wires.advance(30.0, 0.5)
        self.assertNoResult(starting)
        self.wires.listening[CONTROLLER] = listening
        self.wires.advance(30.0, 0.5)
        self.successResultOf(starting)
        self.assertIsNotNone(self.port.links.get("edge"))

    def test_an_answer_that_does_not_come(self) -> None:
        self.patch(self.port.registrar, "join", lambda *arguments: Deferred())
        files = Files(self.mktemp())
        member, _ = self.member(self.token(), files=files)
        starting = member.start()
        self.wires.advance(ANSWER_TIME + 1.0)
        self.assertNoResult(starting)
        self.assertNotIn("node.pem", files.names())
        member.stop()
        self.failureResultOf(starting)

    def test_the_token_is_nowhere_on_its_disk(self) -> None:
        token = self.token()
        files = Files(self.mktemp())
        self.wait(self.member(token, files=files)[0].start())
        self.assertEqual(files.names(), ["node.key", "node.pem", "trust.pem"])
        for name in files.names():
            self.assertNotIn(token[20:60].encode(), files.read(name))

    def test_the_key_does_not_leave_it(self) -> None:
        sent: list[bytes] = []
        join = self.port.registrar.join

        def listen(token: str, request: str, *arguments: Any) -> Any:
            sent.append(request.encode())
            return join(token, request, *arguments)

        self.patch(self.port.registrar, "join", listen)
        files = Files(self.mktemp())
        self.wait(self.member(self.token(), files=files)[0].start())
        self.assertNotIn(b"PRIVATE", sent[0])
        self.assertIn(b"CERTIFICATE REQUEST", sent[0])
