"""
Tests for L{hermes.ndn.security.policy}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.name import Name
from hermes.ndn.security.policy import HierarchicalPolicy, Rule


class PolicyTests(SynchronousTestCase):
    """
    L{HierarchicalPolicy}.
    """

    def allows(self, name: str, keyName: str, *rules: str, hierarchical: bool = True) -> bool:
        """
        What it says.
        """
        policy = HierarchicalPolicy([Rule.fromText(rule) for rule in rules], hierarchical)
        return policy.allows(Name.fromText(name), Name.fromText(keyName))

    def test_aKeySignsWhatIsUnderItsIdentity(self) -> None:
        for name in ("/org", "/org/video/v=1/seg=0", "/org/alice/KEY/2/org/v=1", "/org/KEY/2/self/v=1"):
            self.assertTrue(self.allows(name, "/org/KEY/1"), name)
        for name in ("/", "/orga", "/other/org"):
            self.assertFalse(self.allows(name, "/org/KEY/1"), name)
        self.assertFalse(self.allows("/org/x", "/org/alice/KEY/1"))

    def test_whatIsNoKeySignsNothing(self) -> None:
        for keyName in ("/", "/org", "/org/KEY", "/KEY/org/x"):
            self.assertFalse(self.allows("/org/KEY/x", keyName), keyName)

    def test_rulesAllowMore(self) -> None:
        rule = "/video=/org/editors"
        self.assertTrue(self.allows("/video/7", "/org/editors/bob/KEY/1", rule))
        self.assertFalse(self.allows("/video/7", "/org/readers/KEY/1", rule))
        self.assertFalse(self.allows("/audio/7", "/org/editors/KEY/1", rule))
        self.assertTrue(self.allows("/org/x", "/org/KEY/1", rule))

    def test_withoutTheHierarchyOnlyCertificatesFollowIt(self) -> None:
        self.assertFalse(self.allows("/org/x", "/org/KEY/1", hierarchical=False))
        self.assertTrue(self.allows("/org/x", "/org/KEY/1", "/org/x=/org", hierarchical=False))
        self.assertTrue(self.allows("/org/alice/KEY/1/org/v=1", "/org/KEY/1", hierarchical=False))

    def test_rulesAreWrittenAsTwoNames(self) -> None:
        self.assertEqual(Rule.fromText("/a/32=b=/c"), Rule(Name.fromText("/a/32=b"), Name.fromText("/c")))
        self.assertEqual(Rule.fromText("/=/c/32=x"), Rule(Name(), Name.fromText("/c/32=x")))
        for text in ("", "/a", "/a=", "a=/b", "/a=b", "/a=/b%"):
            with self.assertRaises(ValueError):
                Rule.fromText(text)
