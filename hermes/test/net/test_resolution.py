"""
From names to addresses.
"""

from __future__ import annotations

from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHostnameResolver
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import NameNotFound, NameTimeout, TargetProhibited
from hermes.net.resolution import RESOLUTION_TIMEOUT, interleave, resolve
from hermes.test.net.resolver import FakeResolution, FakeResolver, ResolvingReactor
from hermes.values import Address, Target


class ResolveTests(SynchronousTestCase):
    """
    What is asked, what is answered, and what is refused.
    """

    def setUp(self) -> None:
        self.reactor = ResolvingReactor()

    def resolve(self, host: str, allowSpecial: bool = False) -> Deferred[list[Address]]:
        return resolve(self.reactor, Target(host, 80), allowSpecial)

    def asked(
        self, host: str = "www.example", allowSpecial: bool = False
    ) -> tuple[Deferred[list[Address]], FakeResolution]:
        resolved = self.resolve(host, allowSpecial)
        return resolved, self.reactor.nameResolver.asked[-1]

    def tearDown(self) -> None:
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_theFakeIsAResolver(self) -> None:
        verifyObject(IHostnameResolver, FakeResolver())

    def test_anAddressIsNotAskedFor(self) -> None:
        self.assertEqual(self.successResultOf(self.resolve("8.8.8.8")), [("8.8.8.8", 80)])
        self.assertEqual(self.successResultOf(self.resolve("2a00::1")), [("2a00::1", 80)])
        self.assertEqual(self.reactor.nameResolver.asked, [])

    def test_aSpecialAddressIsRefusedUnlessAllowed(self) -> None:
        for host in "127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1":
            self.failureResultOf(self.resolve(host), TargetProhibited)
            self.assertEqual(self.successResultOf(self.resolve(host, True)), [(host, 80)])

    def test_aNameIsResolved(self) -> None:
        resolved, question = self.asked()
        self.assertEqual((question.name, question.port), ("www.example", 80))
        question.answer("2a00::1", "2a00::2", "8.8.8.8")
        self.assertEqual(self.successResultOf(resolved), [("2a00::1", 80), ("8.8.8.8", 80), ("2a00::2", 80)])

    def test_anAddressIsTriedOnce(self) -> None:
        resolved, question = self.asked()
        question.answer("8.8.8.8", "8.8.8.8", "::ffff:8.8.8.8")
        self.assertEqual(self.successResultOf(resolved), [("8.8.8.8", 80)])

    def test_aLinkLocalAddressKeepsItsInterface(self) -> None:
        resolved, question = self.asked(allowSpecial=True)
        question.receiver.addressResolved(IPv6Address("TCP", "fe80::1", 80, 0, 99999))
        question.receiver.addressResolved(UNIXAddress(b"/not/this"))
        question.receiver.resolutionComplete()
        self.assertEqual(self.successResultOf(resolved), [("fe80::1%99999", 80)])

    def test_aNameThatIsNotThereIsNotFound(self) -> None:
        resolved, question = self.asked()
        question.answer()
        self.assertIn("www.example", str(self.failureResultOf(resolved, NameNotFound).value))

    def test_aNameOfASpecialAddressIsRefused(self) -> None:
        resolved, question = self.asked()
        question.answer("127.0.0.1", "fd00::1")
        error = self.failureResultOf(resolved, TargetProhibited).value
        self.assertNotIn("127.0.0.1", str(error))

    def test_ofAMixedNameOnlyTheOrdinaryAddressesAreTried(self) -> None:
        resolved, question = self.asked()
        question.answer("10.0.0.1", "8.8.8.8", "::1")
        self.assertEqual(self.successResultOf(resolved), [("8.8.8.8", 80)])
        resolved, question = self.asked(allowSpecial=True)
        question.answer("10.0.0.1", "8.8.8.8", "::1")
        self.assertEqual(self.successResultOf(resolved), [("10.0.0.1", 80), ("::1", 80), ("8.8.8.8", 80)])

    def test_overlayNamesNeverReachDNS(self) -> None:
        for host in "db.hermes", "DB.Hermes", "db.hermes.", "a.b.hermes", "hermes":
            self.failureResultOf(self.resolve(host), NameNotFound)
        self.assertEqual(self.reactor.nameResolver.asked, [])
        for host in "hermes.example", "nothermes":
            resolved, question = self.asked(host)
            question.answer("8.8.8.8")
            self.successResultOf(resolved)

    def test_whatIsNoNameNeverReachesDNS(self) -> None:
        for host in "a" * 64, "a..b", ".", "a b", "a\0b", "a\nb", "-" + "x." * 200, "*.example", "ü" * 70:
            self.failureResultOf(self.resolve(host), NameNotFound)
        self.assertEqual(self.reactor.nameResolver.asked, [])

    def test_aNameOfManyScriptsIsAskedForAsDNSHasIt(self) -> None:
        resolved, question = self.asked("bücher.example")
        self.assertEqual(question.name, "xn--bcher-kva.example")
        resolved.cancel()
        self.failureResultOf(resolved, CancelledError)

    def test_aSlowResolverIsGivenUp(self) -> None:
        resolved, question = self.asked()
        self.reactor.advance(RESOLUTION_TIMEOUT)
        self.failureResultOf(resolved, NameTimeout)
        self.assertTrue(question.cancelled)
        question.answer("8.8.8.8")

    def test_aSlowFamilyIsNotWaitedForTooLong(self) -> None:
        resolved, question = self.asked()
        question.found("8.8.8.8")
        self.assertNoResult(resolved)
        self.reactor.advance(RESOLUTION_TIMEOUT)
        self.assertEqual(self.successResultOf(resolved), [("8.8.8.8", 80)])

    def test_aCancelledResolutionIsCancelled(self) -> None:
        resolved, question = self.asked()
        resolved.cancel()
        self.failureResultOf(resolved, CancelledError)
        self.assertTrue(question.cancelled)

    def test_aResolverThatChokesHasNotFoundTheName(self) -> None:
        self.reactor.nameResolver.resolveHostName = None  # type: ignore[method-assign,assignment]
        self.failureResultOf(self.resolve("www.example"), NameNotFound)

    def test_familiesTakeTurns(self) -> None:
        v4: list[Address] = [(f"192.0.2.{number}", 80) for number in range(3)]
        v6: list[Address] = [(f"2001:db8::{number}", 80) for number in range(2)]
        self.assertEqual(interleave(v6 + v4), [v6[0], v4[0], v6[1], v4[1], v4[2]])
        self.assertEqual(interleave(v4 + v6), [v4[0], v6[0], v4[1], v6[1], v4[2]])
        self.assertEqual(interleave(v4), v4)
