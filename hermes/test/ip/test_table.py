"""
Tests of L{hermes.ip.table}.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.ip.table import Asked, PacketRule, PacketTable, prefixes
from hermes.matching import Match
from hermes.test.ip.packets import rule
from hermes.values import Identity


def asked(destination: str, port: int | None = None, user: str | None = None, **fields: Any) -> Asked:
    """
    A packet, TCP where nothing else is said.
    """
    fields.setdefault("protocol", 6)
    source = fields.pop("source", "10.0.0.1" if "." in destination else "fd00::1")
    return Asked(
        ip_address(source),
        ip_address(destination),
        sourcePort=None if port is None else 40000,
        destinationPort=port,
        identity=Identity(fields.pop("node", None), user),
        **fields,
    )


class DecideTests(SynchronousTestCase):
    """
    Which route decides.
    """

    def decided(self, rules: list[PacketRule], question: Asked) -> str | None:
        """
        The name of the rule.
        """
        found = PacketTable(tuple(rules)).decide(question)
        return None if found is None else found.name

    def test_theLongestPrefixDecides(self) -> None:
        """
        Whatever the order is.
        """
        rules = [rule(["0.0.0.0/0"], name="all"), rule(["10.0.0.0/8"], name="ten"), rule(["10.1.0.0/16"], name="site")]
        self.assertEqual(self.decided(rules, asked("10.1.2.3")), "site")
        self.assertEqual(self.decided(rules, asked("10.2.2.3")), "ten")
        self.assertEqual(self.decided(rules, asked("8.8.8.8")), "all")
        self.assertIsNone(self.decided(rules, asked("fd00::9")))

    def test_amongEqualsTheFirstDecides(self) -> None:
        """
        The same destination leads different users to different places.
        """
        rules = [
            rule(["10.1.0.0/16"], users=["alice"], name="alice"),
            rule(["10.1.0.0/16"], users=["bob"], name="bob"),
            rule(["10.1.0.0/16"], name="shared"),
            rule(["10.1.0.0/16"], users=["alice"], name="late"),
        ]
        found = [self.decided(rules, asked("10.1.1.1", user=user)) for user in ("alice", "bob", "carol", None)]
        self.assertEqual(found, ["alice", "bob", "shared", "shared"])

    def test_aLongerPrefixThatDoesNotTakeThePacketLeavesItToAShorterOne(self) -> None:
        """
        For its port, its transport, its sender, its source.
        """
        rules = [
            rule(["10.1.1.1:80"], name="port"),
            rule(["10.1.1.0/24"], transports=[17], name="transport"),
            rule(["10.1.0.0/16"], sources=["10.9.0.0/16"], name="source"),
            rule(["10.0.0.0/8"], nodes=["edge"], name="node"),
            rule([], listeners=["lan"], name="listener"),
        ]
        self.assertEqual(self.decided(rules, asked("10.1.1.1", 80)), "port")
        self.assertEqual(self.decided(rules, asked("10.1.1.1", 81, protocol=17)), "transport")
        self.assertEqual(self.decided(rules, asked("10.1.1.1", 81, source="10.9.1.1")), "source")
        self.assertEqual(self.decided(rules, asked("10.1.1.1", 81, node="edge")), "node")
        self.assertEqual(self.decided(rules, asked("10.1.1.1", 81, listener="lan")), "listener")
        self.assertIsNone(self.decided(rules, asked("10.1.1.1", 81)))

    def test_aPortAloneIsOfEveryAddress(self) -> None:
        """
        Of both versions; what has no port is not taken.
        """
        rules = [rule([":53"], name="dns")]
        self.assertEqual(self.decided(rules, asked("9.9.9.9", 53)), "dns")
        self.assertEqual(self.decided(rules, asked("fd00::9", 53)), "dns")
        self.assertIsNone(self.decided(rules, asked("9.9.9.9", None, protocol=1)))

    def test_namesAreNoTargetsOfPackets(self) -> None:
        """
        The error says what to write.
        """
        for text in ("db.hermes", "*.hermes"):
            with self.assertRaisesRegex(ValueError, "write an address or a prefix"):
                prefixes(Match.fromTexts([text]))


class ReachableTests(SynchronousTestCase):
    """
    What is advertised.
    """

    def reachable(self, rules: list[PacketRule], user: str | None = None) -> list[str]:
        """
        As text.
        """
        found = PacketTable(tuple(rules)).reachable(Identity(None, user), "overlay")
        return [f"{start}-{end}" for start, end, _ in found]

    def test_whatRoutesTakeOfASenderIsReachable(self) -> None:
        """
        And what is denied within it is not; what is allowed within that is again.
        """
        rules = [
            rule(["10.0.0.0/8"]),
            rule(["10.1.0.0/16"], deny="not there"),
            rule(["10.1.1.0/24"], users=["alice"]),
            rule(["fd00::/8"], users=["bob"]),
        ]
        self.assertEqual(self.reachable(rules), ["10.0.0.0-10.0.255.255", "10.2.0.0-10.255.255.255"])
        self.assertEqual(
            self.reachable(rules, "alice"),
            ["10.0.0.0-10.0.255.255", "10.1.1.0-10.1.1.255", "10.2.0.0-10.255.255.255"],
        )
        self.assertEqual(self.reachable(rules, "bob")[-1], f"fd00::-{'fdff' + ':ffff' * 7}")

    def test_aDenialOfAPartIsNoDenialOfAll(self) -> None:
        """
        Of one port, one transport.
        """
        rules = [
            rule(["10.0.0.0/8:25"], deny="mail"),
            rule(["10.0.0.0/8"], transports=[1], deny="ping"),
            rule(["10.0.0.0/8"]),
        ]
        self.assertEqual(self.reachable(rules), ["10.0.0.0-10.255.255.255"])

    def test_whoMaySendNothingIsTold(self) -> None:
        """
        A tunnel is refused where no route would take any packet.
        """
        table = PacketTable((rule(["10.0.0.0/8"], users=["alice"]), rule([], deny="no")))
        self.assertTrue(table.takesAny(Identity(None, "alice"), "overlay"))
        self.assertFalse(table.takesAny(Identity(None, "bob"), "overlay"))


class ExplainTests(SynchronousTestCase):
    """
    Why.
    """

    def test_theRoutesAreToldInTheOrderInWhichTheyAreTried(self) -> None:
        """
        With why the earlier ones do not decide.
        """
        table = PacketTable(
            (
                rule(["10.0.0.0/8"], name="wide", via=("gateway",)),
                rule(["10.1.1.1:80"], name="web", to="lan"),
                rule(["10.1.0.0/16"], users=["alice"], name="alice", via=("a", "b"), nested=True),
                rule(["10.1.0.0/16"], transports=[17], name="udp", deny="no UDP", silent=True),
                rule(["192.0.2.0/24"], name="other"),
            )
        )
        self.assertEqual(
            table.explain(asked("10.1.1.1", 22)),
            [
                "route alice: does not match: user is nobody, not alice",
                "route udp: does not match: transport is tcp, not udp",
                "route wide: matches: via gateway",
                "route web: does not match: target is 10.1.1.1:22, not 10.1.1.1:80",
                "route other: does not match: target is 10.1.1.1:22, not 192.0.2.0/24",
            ],
        )
        self.assertEqual(table.explain(asked("10.1.1.1", 80))[0], "route web: matches: to the device lan")
        self.assertIn("route wide: would match, but is not reached", table.explain(asked("10.1.1.1", 80)))
        self.assertEqual(table.explain(asked("172.16.0.1"))[-1], "no route matches: refused")
        self.assertIn("route alice: matches: via a, b, nested", table.explain(asked("10.1.9.9", 22, "alice")))
