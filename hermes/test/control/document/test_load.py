"""
Tests of L{hermes.control.document}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config import ConfigError
from hermes.control.document import loadOverlay
from hermes.control.document.subjects import Destination, Subject
from hermes.test.control.documents import NAMES, PACKETS, SMALL


class LoadTests(SynchronousTestCase):
    """
    Reading a document.
    """

    def wrong(self, text: str, *said: str) -> None:
        """
        It is refused with these words.
        """
        with self.assertRaises(ConfigError) as caught:
            loadOverlay(text, "overlay.yaml")
        for words in said:
            self.assertIn(words, str(caught.exception))

    def test_whatItSaysIsTaken(self) -> None:
        """
        One word stands for a list of it; text is kept as it is.
        """
        document = loadOverlay(SMALL)
        config = document.config
        self.assertEqual((document.text, str(config.overlay)), (SMALL, "example"))
        self.assertEqual(list(config.nodes), ["edge", "relay", "other", "gateway"])
        self.assertEqual(config.policy[0].allow, (Subject("group", "admins"),))
        self.assertEqual(config.policy[0].to, (Destination("db.hermes", None, 3306),))
        self.assertEqual(config.policy[1].subjects, (Subject("user", "bob"), Subject("node", "edge")))
        for other in (PACKETS, NAMES):
            loadOverlay(other)

    def test_whatIsWrongIsToldWithItsPlaceAndTheNearestName(self) -> None:
        """
        Unknown keys, and names that lead nowhere.
        """
        self.wrong(
            SMALL.replace("weight:", "wieght:", 1), "overlay.yaml:9:", "links[0].wieght", "did you mean 'weight'"
        )
        self.wrong(
            SMALL.replace("group:admins", "group:admin"), "policy[0].allow", "no group is called 'admin'", "admins"
        )
        self.wrong(SMALL.replace("on: [gateway], ports", "on: [gatewy], ports"), "services.db.hermes.on", "'gateway'")
        self.wrong(SMALL.replace("admins: [alice]", "admins: [alise]"), "groups.admins", "no user is called 'alise'")
        self.wrong(SMALL.replace('"db.hermes:3306"}', '"db.hermes:3307"}'), "db.hermes has no port 3307: there is 3306")
        self.wrong(
            SMALL.replace("{allow: group:admins, to:", "{allow: group:admins, method: GET, to:"), "has no requests"
        )
        self.wrong(SMALL.replace("between: [edge, relay]", "between: [edge, edge]"), "a link is between two nodes")
        self.wrong(SMALL.replace("alice: {", "alice: {token: hush, "), "users.bob.token", "'alice' has the same token")
        self.wrong(SMALL.replace("token: hush", "token: hush hush"), "users.bob.token", "letters, digits")
        self.wrong(SMALL.replace("type: proxy", "type: prxy"), "nodes.edge.listeners.apps.type", "'proxy'")

    def test_anEntryIsAboutSomebodyAndSomething(self) -> None:
        """
        Each with a sentence that says what to write.
        """
        self.wrong(SMALL.replace("{allow: group:admins,", "{"), "either 'allow' or 'deny'")
        self.wrong(SMALL.replace("group:admins", "admins"), "'admins' is nobody: write any, user:NAME")
        self.wrong(SMALL.replace("group:admins", "grup:admins"), "did you mean 'group'")
        self.wrong(SMALL.replace('to: "db.hermes:3306"', 'to: "db.hermes:x"'), "'x' is not a port")
        self.wrong(SMALL.replace('to: "db.hermes:3306"', 'to: "10.1.0.1/16"'), "has host bits set")

    def test_destinationsAreRead(self) -> None:
        """
        And written as they were.
        """
        for text in (
            "any",
            "db.hermes",
            "db.hermes:53",
            "10.0.0.0/8",
            "10.0.0.0/8:53",
            "10.0.0.1",
            "fd00::/8",
            "[fd00::/8]:53",
        ):
            self.assertEqual(str(Destination.fromText(text)), text)

    def test_filesAreTheNodes(self) -> None:
        """
        They need not be here.
        """
        text = SMALL.replace(
            "users: {alice: {password: wonderland}", "users: {alice: {password: {file: /nowhere/secret}}"
        )
        loadOverlay(text)

    def test_noTwoNodesWithoutAnAddressAreLinked(self) -> None:
        """
        Neither could connect to the other.
        """
        text = SMALL.replace('address: "edge.example:8443", ', "").replace(
            'relay:   {address: "relay.example:8443"}', "relay: {}"
        )
        self.wrong(text, "links[0]", "none of the two has an address")
