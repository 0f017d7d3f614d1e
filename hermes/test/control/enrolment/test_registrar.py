"""
Who may join, who has, and who may not any more; as the store has it.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.channel.errors import NotAllowed, Refused
from hermes.control.enrolment.authority import Authority
from hermes.control.enrolment.errors import BadRequest, EnrolmentRefused
from hermes.control.enrolment.registrar import NODE_DAYS, TOKEN_SECONDS, Registrar
from hermes.control.enrolment.requests import makeKey, makeRequest, sameKey
from hermes.control.enrolment.tokens import Token
from hermes.control.errors import UnknownNode
from hermes.control.store.errors import StoreUnavailable
from hermes.net.certificates import nodeNames
from hermes.testing.control.store import MemoryStore

NOW = 1_700_000_000.0


class RegistrarCase(SynchronousTestCase):
    """
    A registrar, and a clock that begins at L{NOW}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock, latency=0.0)
        self.changed = 0
        self.registrar = Registrar(self.store, _early(), lambda: NOW + self.clock.seconds(), self.hasChanged)
        self.key = makeKey()
        self.request = makeRequest(self.key)

    def hasChanged(self) -> None:
        self.changed += 1

    def wait(self, deferred: Deferred[Any]) -> Any:
        self.settle()
        return self.successResultOf(deferred)

    def fails(self, deferred: Deferred[Any], error: type[Exception]) -> str:
        self.settle()
        return str(self.failureResultOf(deferred, error).value)

    def settle(self) -> None:
        for _ in range(50):
            self.clock.advance(0)

    def token(self, node: str = "edge", **options: Any) -> str:
        found: str = self.wait(self.registrar.enrol(node, **options))
        return found

    def join(self, node: str = "edge") -> str:
        """
        @return: the serial number of its certificate.
        """
        self.wait(self.registrar.join(self.token(node), makeRequest(makeKey()), "192.0.2.1"))
        serial: str = self.wait(self.store.node(node)).serial
        return serial

    def may(self, node: str, serial: str) -> bool:
        found: bool = self.wait(self.registrar.mayConnect("node", node, serial))
        return found

    def audited(self) -> list[tuple[str, str, str]]:
        entries = self.wait(self.store.audits(100))
        return [(entry.actor, entry.action, entry.subject) for entry in reversed(entries)]


def _early() -> Authority:
    """
    An authority for whom L{NOW} is within its time.
    """
    return Authority.make()


class Joining(RegistrarCase):
    """
    Tokens and what is had for them.
    """

    def test_a_certificate_for_the_node_that_the_token_was_made_for(self) -> None:
        enrolled = self.wait(self.registrar.join(self.token("Edge"), self.request, "192.0.2.1", "1.0"))
        certificate = x509.load_pem_x509_certificate(enrolled.certificate.encode())
        self.assertEqual((enrolled.node, nodeNames(certificate)), ("edge", ["edge"]))
        self.assertTrue(sameKey(certificate.public_key(), self.key.public_key()))
        self.assertEqual(enrolled.trust, self.registrar.authority.trust)
        entry = self.wait(self.store.node("edge"))
        self.assertEqual(int(entry.serial, 16), certificate.serial_number)
        self.assertEqual((entry.enrolledAt, entry.expires), (NOW, NOW + NODE_DAYS * 86400))
        self.assertEqual((entry.revoked, entry.software), (False, "1.0"))
        self.assertTrue(self.may("edge", entry.serial))
        self.assertEqual(self.audited(), [("edge", "join", "edge")])

    def test_a_token_is_not_stored(self) -> None:
        token = self.token()
        self.assertNotIn(token, repr(self.store.state))
        self.assertNotIn(Token.fromText(token).secret.hex(), repr(self.store.state))

    def test_it_is_good_once(self) -> None:
        token = self.token()
        self.wait(self.registrar.join(token, self.request, ""))
        serial = self.wait(self.store.node("edge")).serial
        self.assertIn("used before", self.fails(self.registrar.join(token, self.request, ""), EnrolmentRefused))
        self.assertEqual(self.wait(self.store.node("edge")).serial, serial)

    def test_of_many_at_once_one_gets_it(self) -> None:
        token = self.token()
        asked = [self.registrar.join(token, self.request, "") for _ in range(10)]
        self.settle()
        got = [each for each in asked if isinstance(each.result, object) and not _failed(each)]
        self.assertEqual(len(got), 1)

    def test_it_expires(self) -> None:
        token = self.token()
        self.clock.advance(TOKEN_SECONDS)
        self.fails(self.registrar.join(token, self.request, ""), EnrolmentRefused)
        self.assertIsNone(self.wait(self.store.node("edge")))

    def test_a_guessed_one_or_one_of_another_overlay_is_refused_alike(self) -> None:
        said = {
            self.fails(self.registrar.join(token, self.request, ""), EnrolmentRefused)
            for token in (
                Token.make(self.registrar.authority.fingerprint).toText(),
                Token.make(b"f" * 32).toText(),
            )
        }
        self.assertEqual(len(said), 1)

    def test_what_is_no_token_is_refused(self) -> None:
        for wrong in ("", "hermes1", "x" * 10_000, self.token()[:-5]):
            self.fails(self.registrar.join(wrong, self.request, ""), EnrolmentRefused)

    def test_a_bad_request_does_not_use_the_token_up(self) -> None:
        token = self.token()
        self.fails(self.registrar.join(token, "no request", ""), BadRequest)
        self.wait(self.registrar.join(token, self.request, ""))

    def test_a_name_that_can_be_no_nodes_gets_none(self) -> None:
        for wrong in ("", "a b", "*", "../x", "é", "-x", "a/b"):
            self.fails(self.registrar.enrol(wrong), EnrolmentRefused)

    def test_a_node_that_joins_again_loses_what_it_had(self) -> None:
        first = self.join()
        second = self.join()
        self.assertFalse(self.may("edge", first))
        self.assertTrue(self.may("edge", second))
        self.assertEqual(self.wait(self.store.revocations(NOW)).keys(), {first})
        self.assertEqual(self.changed, 1)

    def test_where_the_store_is_down_it_fails(self) -> None:
        token = self.token()
        self.store.fails = 1
        asked = self.registrar.join(token, self.request, "")
        self.clock.advance(100)
        self.fails(asked, StoreUnavailable)


class Renewing(RegistrarCase):
    """
    One more certificate.
    """

    def test_for_the_same_node_beside_the_one_it_has(self) -> None:
        first = self.join()
        self.clock.advance(60 * 86400)
        renewed = self.wait(self.registrar.renew("edge", self.request))
        certificate = x509.load_pem_x509_certificate(renewed.certificate.encode())
        self.assertEqual(nodeNames(certificate), ["edge"])
        entry = self.wait(self.store.node("edge"))
        self.assertEqual(int(entry.serial, 16), certificate.serial_number)
        self.assertEqual(entry.earlier, {first: NOW + NODE_DAYS * 86400})
        self.assertTrue(self.may("edge", first) and self.may("edge", entry.serial))
        self.assertEqual(self.wait(self.store.revocations(NOW)), {})

    def test_those_that_have_expired_are_forgotten(self) -> None:
        self.join()
        for _ in range(3):
            self.clock.advance(100 * 86400)
            self.wait(self.registrar.renew("edge", makeRequest(makeKey())))
            self.assertEqual(self.wait(self.store.node("edge")).earlier, {})

    def test_not_for_a_node_that_is_not_enrolled_or_shut_out(self) -> None:
        self.fails(self.registrar.renew("edge", self.request), NotAllowed)
        self.join()
        self.wait(self.registrar.revoke("edge"))
        self.fails(self.registrar.renew("edge", self.request), NotAllowed)

    def test_a_bad_request_is_told(self) -> None:
        self.join()
        self.fails(self.registrar.renew("edge", "no request"), Refused)


class Revoking(RegistrarCase):
    """
    Shutting out.
    """

    def test_all_certificates_that_have_not_expired(self) -> None:
        first = self.join()
        self.wait(self.registrar.renew("edge", self.request))
        second = self.wait(self.store.node("edge")).serial
        other = self.join("relay")
        self.wait(self.registrar.revoke("Edge"))
        self.assertEqual(self.wait(self.store.revocations(NOW)).keys(), {first, second})
        self.assertFalse(self.may("edge", first) or self.may("edge", second))
        self.assertTrue(self.may("relay", other))
        self.assertTrue(self.wait(self.store.node("edge")).revoked)
        self.assertEqual(self.changed, 1)

    def test_its_tokens_too(self) -> None:
        self.join()
        token = self.token()
        self.wait(self.registrar.revoke("edge"))
        self.fails(self.registrar.join(token, self.request, ""), EnrolmentRefused)

    def test_it_may_join_again_with_a_new_one(self) -> None:
        first = self.join()
        self.wait(self.registrar.revoke("edge"))
        second = self.join()
        self.assertTrue(self.may("edge", second))
        self.assertIn(first, self.wait(self.store.revocations(NOW)))

    def test_of_a_node_that_there_is_not(self) -> None:
        self.fails(self.registrar.revoke("edge"), UnknownNode)

    def test_one_that_is_renewed_meanwhile_is_revoked_too(self) -> None:
        self.join()
        put = self.store.putRevocations

        def putLate(serials: Any) -> Any:
            self.store.putRevocations = put  # type: ignore[method-assign]
            renewing = self.registrar.renew("edge", self.request)
            return renewing.addCallback(lambda _: put(serials))

        self.store.putRevocations = putLate  # type: ignore[method-assign]
        self.wait(self.registrar.revoke("edge"))
        entry = self.wait(self.store.node("edge"))
        self.assertEqual(self.wait(self.store.revocations(NOW)).keys(), {entry.serial, *entry.earlier})
        self.assertEqual(len(entry.earlier), 1)

    def test_killed_in_the_middle_it_leaves_no_certificate_that_is_good(self) -> None:
        serial = self.join()
        self.store.changeNode = lambda *arguments: Deferred()  # type: ignore[method-assign]
        self.registrar.revoke("edge")
        self.settle()
        self.assertIn(serial, self.wait(self.store.revocations(NOW)))


def _failed(deferred: Deferred[Any]) -> bool:
    failed: list[object] = []
    deferred.addErrback(failed.append)
    return bool(failed)
