"""
Several controllers that share a store: one leads.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, fail

from hermes.control.errors import NotLeading, UnknownVersion
from hermes.test.control.overlays import SETTINGS, OverlayCase
from hermes.testing.control import MemoryStore, documentOf
from hermes.testing.control.overlay import LEASE


class LeadingTests(OverlayCase):
    """
    Several controllers.
    """

    controllers = 2

    def test_oneLeads(self) -> None:
        first, second = self.overlay.controllers
        self.assertEqual((first.leads, second.leads), (True, False))
        failure = self.overlay.wait(second.controller.apply(documentOf(self.all("one")), "ops"))
        self.assertIsInstance(failure.value, NotLeading)
        self.assertRaises(NotLeading, second.controller.cancel, "ops")

    def test_theOtherLeadsWhereItStops(self) -> None:
        first, second = self.overlay.controllers
        self.apply(self.all("one"))
        self.overlay.wait(first.controller.stop())
        self.overlay.run(3)
        self.assertEqual((first.leads, second.leads), (False, True))
        self.assertEqual(self.apply(self.all("two")).number, 2)
        self.assertRun("two")

    def test_aLeaderThatLosesItStandsAgain(self) -> None:
        first, second = self.overlay.controllers
        self.overlay.state.expire()
        self.overlay.run(3)
        self.assertTrue(second.leads)
        self.overlay.state.expire()
        self.overlay.run(3)
        self.assertTrue(first.leads)
        self.assertEqual(self.apply(self.all("one")).result, "committed")

    def test_itStandsAgainAfterAnErrorThatNobodyHasThoughtOf(self) -> None:
        one, two = self.overlay.controllers
        two.kill()
        one.kill()
        self.overlay.run(LEASE + 1)
        campaign, errors = MemoryStore.campaign, [ValueError("anything"), CancelledError()]

        def failing(store: MemoryStore, identity: str) -> Any:
            return fail(errors.pop()) if errors else campaign(store, identity)

        self.patch(MemoryStore, "campaign", failing)
        one.start()
        self.overlay.run(5)
        self.assertEqual((errors, one.leads), ([], True))
        self.assertEqual(len(self.flushLoggedErrors(ValueError, CancelledError)), 2)

    def test_whatCanNotBeReadAtFirstIsReadAgain(self) -> None:
        first, second = self.overlay.controllers
        self.apply(self.all("one"))
        second.store.fails = 3
        first.kill()
        self.overlay.run(LEASE + 5)
        self.assertTrue(second.leads)
        self.assertEqual(self.overlay.wait(second.controller.status()).version, 1)

    def test_anyOfThemAnswersQuestions(self) -> None:
        self.apply(self.all("one"))
        second = self.overlay.controllers[1].controller
        status = self.overlay.wait(second.status())
        self.assertEqual((status.leading, status.leader, status.version), (False, "controller0", 1))
        (record,) = self.overlay.wait(second.history())
        self.assertEqual((record.number, record.document), (1, ""))
        self.assertEqual(self.overlay.wait(second.version(1)).document, documentOf(self.all("one")))
        self.assertIsInstance(self.overlay.wait(second.version(2)).value, UnknownVersion)

    def test_whatIsUnderWayIsAnothersWhereItStops(self) -> None:
        self.apply(self.all("one"))
        first = self.overlay.controllers[0]
        applying = self.applying(documentOf(self.all("two")))
        self.overlay.run(2)
        first.controller.stop()
        self.assertEqual(self.overlay.wait(applying).result, "unknown")
        self.overlay.run(SETTINGS.decide + 5)
        self.assertRun("one")
