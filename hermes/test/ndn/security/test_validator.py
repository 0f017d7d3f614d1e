"""
Tests for L{hermes.ndn.security.validator}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.data import Data, decodeData, encodeData
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.security.certificate import Certificate
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.policy import HierarchicalPolicy, Rule
from hermes.ndn.security.signers import DigestSigner, HmacSigner, signerFor
from hermes.ndn.security.validator import Validator
from hermes.test.ndn.security.keys import NOW, Identity


def data(name: str, signer: Signer) -> Data:
    """
    Signed data.
    """
    return decodeData(encodeData(Name.fromText(name), b"x", signer))


class ValidatorTests(SynchronousTestCase):
    """
    L{Validator}.
    """

    def setUp(self) -> None:
        self.now = float(NOW)
        self.root = Identity("/org", kind="rsa")
        self.alice = Identity("/org/alice", self.root, "ed25519")
        self.laptop = Identity("/org/alice/laptop", self.alice, "ecdsa", 1)
        self.asked: list[Name] = []
        self.answers: list[tuple[Name, Deferred[Data]]] = []
        self.validator = Validator([self.root.certificate], lambda: self.now, self.fetch)

    def fetch(self, name: Name) -> Deferred[Data]:
        """
        A network that waits to be told what it has.
        """
        self.asked.append(name)
        deferred: Deferred[Data] = Deferred()
        self.answers.append((name, deferred))
        return deferred

    def answer(self, *certificates: Certificate) -> None:
        """
        Answer what was asked for with one of these, or not at all.
        """
        answers, self.answers = self.answers, []
        for name, deferred in answers:
            found = [each for each in certificates if name.isPrefixOf(each.name)]
            if found:
                deferred.callback(found[0].data)
            else:
                deferred.errback(OSError("nothing there"))

    def validate(self, packet: Data) -> Deferred[None]:
        """
        Start.
        """
        return Deferred.fromCoroutine(self.validator.validate(packet))

    def refused(self, packet: Data, why: str) -> None:
        """
        Fail unless it is refused at once, for this reason.
        """
        error = self.failureResultOf(self.validate(packet), Untrusted)
        self.assertRegex(str(error.value), why)
        with self.assertRaisesRegex(Untrusted, why):
            self.validator.validateNow(packet)

    def test_signedByAnAnchor(self) -> None:
        packet = data("/org/x", self.root.signer)
        self.successResultOf(self.validate(packet))
        self.assertTrue(self.validator.validateNow(packet))
        self.assertEqual(self.asked, [])

    def test_aWrongSignatureIsRefused(self) -> None:
        packet = data("/org/x", self.root.signer)
        wire = packet.wire.replace(b"\x15\x01x", b"\x15\x01y")
        self.refused(decodeData(wire), "not one of /org/KEY/k")

    def test_aKeyThatMayNotSignThatIsRefused(self) -> None:
        self.refused(data("/elsewhere/x", self.root.signer), "/org/KEY/k may not sign /elsewhere/x")

    def test_whatNamesNoKeyIsRefused(self) -> None:
        for signer in (DigestSigner(), HmacSigner(b"", b"digest"), HmacSigner(b"", Name.fromText("/org/nobody"))):
            self.refused(data("/org/x", signer), "does not say which key")

    def test_certificatesAreFetchedAndKept(self) -> None:
        packet = data("/org/alice/laptop/x", self.laptop.signer)
        self.assertFalse(self.validator.validateNow(packet))
        waiting = self.validate(packet)
        self.assertNoResult(waiting)
        self.answer(self.laptop.certificate)
        self.assertNoResult(waiting)
        self.answer(self.alice.certificate)
        self.successResultOf(waiting)
        self.assertEqual(self.asked, [self.laptop.certificate.name, self.alice.certificate.name])
        self.assertTrue(self.validator.validateNow(packet))
        self.assertTrue(self.validator.validateNow(data("/org/alice/y", self.alice.signer)))

    def test_aCertificateIsFetchedOnceHoweverManyWait(self) -> None:
        waiting = [self.validate(data(f"/org/alice/{number}", self.alice.signer)) for number in range(20)]
        self.assertEqual(len(self.asked), 1)
        self.answer(self.alice.certificate)
        for each in waiting:
            self.successResultOf(each)

    def test_oneThatIsCancelledIsNoMatterToOthers(self) -> None:
        first, second = (self.validate(data(f"/org/alice/{number}", self.alice.signer)) for number in range(2))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.answer(self.alice.certificate)
        self.successResultOf(second)

    def test_theLocatorMayNameTheKeyOnly(self) -> None:
        packet = data("/org/alice/x", signerFor(self.alice.private, self.alice.keyName))
        waiting = self.validate(packet)
        self.assertEqual(self.asked, [self.alice.keyName])
        self.answer(self.alice.certificate)
        self.successResultOf(waiting)

    def test_whatCannotBeFetchedIsRefused(self) -> None:
        waiting = self.validate(data("/org/alice/x", self.alice.signer))
        self.answer()
        self.assertIn("nothing there", str(self.failureResultOf(waiting, Untrusted).value))
        # The next one tries again.
        waiting = self.validate(data("/org/alice/x", self.alice.signer))
        self.answer(self.alice.certificate)
        self.successResultOf(waiting)

    def test_withoutAWayToFetchThereAreTheAnchorsOnly(self) -> None:
        self.validator = Validator([self.root.certificate], lambda: self.now)
        waiting = self.validate(data("/org/alice/x", self.alice.signer))
        self.assertIn("no trust anchor", str(self.failureResultOf(waiting, Untrusted).value))

    def test_aStrangersCertificateIsRefused(self) -> None:
        stranger = Identity("/org/alice", number=7)
        waiting = self.validate(data("/org/alice/x", stranger.signer))
        self.answer(stranger.certificate)
        self.assertIn("signed by itself", str(self.failureResultOf(waiting, Untrusted).value))

    def test_aCertificateOfAStrangersHandIsRefused(self) -> None:
        forged = Identity("/org", number=8)
        victim = Identity("/org/alice", forged, number=9)
        waiting = self.validate(data("/org/alice/x", victim.signer))
        self.answer(victim.certificate)
        self.assertIn("not one of /org/KEY/k", str(self.failureResultOf(waiting, Untrusted).value))

    def test_aCertificateForAnotherKeyIsRefused(self) -> None:
        waiting = self.validate(data("/org/alice/x", self.alice.signer))
        _, deferred = self.answers.pop()
        deferred.callback(self.laptop.certificate.data)
        self.assertIn("not a certificate of /org/alice/KEY/k", str(self.failureResultOf(waiting, Untrusted).value))

    def test_whatIsNoCertificateIsRefused(self) -> None:
        waiting = self.validate(data("/org/alice/x", self.alice.signer))
        self.answers.pop()[1].callback(data("/org/alice/KEY/k/issuer/v=1", self.alice.signer))
        self.assertIn("is no certificate", str(self.failureResultOf(waiting, Untrusted).value))

    def test_aCertificateThatIsNotValidIsRefused(self) -> None:
        for validity in ((NOW - 20, NOW - 10), (NOW + 10, NOW + 20)):
            late = Identity("/org/late", self.root, number=4, validity=validity)
            waiting = self.validate(data("/org/late/x", late.signer))
            self.answer(late.certificate)
            self.assertIn("not valid now", str(self.failureResultOf(waiting, Untrusted).value))

    def test_aCertificateIsKeptNoLongerThanItIsValid(self) -> None:
        brief = Identity("/org/brief", self.root, number=4, validity=(NOW, NOW + 5))
        packet = data("/org/brief/x", brief.signer)
        waiting = self.validate(packet)
        self.answer(brief.certificate)
        self.successResultOf(waiting)
        self.now += 5.5
        self.assertTrue(self.validator.validateNow(packet))
        self.now += 1
        self.assertFalse(self.validator.validateNow(packet))

    def test_anAnchorIsBelievedNoLongerThanItIsValid(self) -> None:
        self.now += 2000
        self.refused(data("/org/x", self.root.signer), "anchor .* is not valid now")

    def test_chainsAreBounded(self) -> None:
        chain = [self.root]
        name = "/org"
        for number in range(7):
            name += f"/{number}"
            chain.append(Identity(name, chain[-1], number=10 + number))
        for length, allowed in ((5, True), (6, False)):
            self.setUp()
            waiting = self.validate(data(f"{name}/x", chain[length].signer))
            for each in reversed(chain[1 : length + 1]):
                self.answer(each.certificate)
            if allowed:
                self.successResultOf(waiting)
            else:
                self.assertIn("too many certificates", str(self.failureResultOf(waiting, Untrusted).value))

    def test_keysThatCertifyEachOtherComeToAnEnd(self) -> None:
        first = Identity("/org/a", number=20, keyID="1")
        second = Identity("/org/a", first, number=21, keyID="2")
        again = Identity("/org/a", second, number=20, keyID="1")
        first.signer = signerFor(first.private, again.certificate.name)
        second = Identity("/org/a", first, number=21, keyID="2")
        waiting = [self.validate(data("/org/a/x", each.signer)) for each in (first, second)]
        for _ in range(10):
            self.answer(again.certificate, second.certificate)
        for each in waiting:
            self.assertIn("too many certificates", str(self.failureResultOf(each, Untrusted).value))

    def test_whatIsKeptIsBounded(self) -> None:
        from hermes.ndn.security import validator

        self.patch(validator, "MAX_KEPT", 2)
        packets = []
        for number in range(3):
            somebody = Identity(f"/org/{number}", self.root, "ed25519", 30)
            packets.append(data(f"/org/{number}/x", somebody.signer))
            waiting = self.validate(packets[-1])
            self.answer(somebody.certificate)
            self.successResultOf(waiting)
        self.assertEqual([self.validator.validateNow(each) for each in packets], [False, True, True])

    def test_aPolicyOfOnesOwn(self) -> None:
        policy = HierarchicalPolicy([Rule.fromText("/video=/org/alice")])
        self.validator = Validator([self.root.certificate], lambda: self.now, self.fetch, policy)
        waiting = self.validate(data("/video/1", self.alice.signer))
        self.answer(self.alice.certificate)
        self.successResultOf(waiting)
        self.refused(data("/video/1", self.root.signer), "may not sign")
