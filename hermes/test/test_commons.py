"""
Tests for L{hermes.commons}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.commons import Commons
from hermes.interfaces import ICommons


class CommonsTests(SynchronousTestCase):
    """
    What parts offer each other.
    """

    def test_whatIsOfferedIsFound(self) -> None:
        commons = Commons()
        verifyObject(ICommons, commons)
        thing = object()
        commons.offer("ndn", "names", thing)
        self.assertIs(commons.get("ndn", "names"), thing)
        self.assertIsNone(commons.get("ndn", "other"))
        self.assertIsNone(commons.get("store", "names"))
        commons.offer("store", "memory", object())
        self.assertEqual(commons.all("ndn"), {"names": thing})

    def test_whatIsWithdrawnIsNot(self) -> None:
        commons = Commons()
        old, new = object(), object()
        commons.offer("ndn", "names", old)
        commons.offer("ndn", "names", new)
        commons.withdraw("ndn", "names", old)
        self.assertIs(commons.get("ndn", "names"), new)
        commons.withdraw("ndn", "names", new)
        self.assertIsNone(commons.get("ndn", "names"))
        commons.withdraw("ndn", "names", new)

    def test_theOneBeforeCountsAgain(self) -> None:
        commons = Commons()
        old, new = object(), object()
        commons.offer("ndn", "names", old)
        commons.offer("ndn", "names", new)
        commons.withdraw("ndn", "names", new)
        self.assertIs(commons.get("ndn", "names"), old)
