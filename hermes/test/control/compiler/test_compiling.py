"""
Tests of L{hermes.control.compiler}, L{hermes.control.policytests} and L{hermes.control.explaining}.
"""

from __future__ import annotations

from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.compiler import Measurements, compile
from hermes.control.differences import difference
from hermes.control.document import loadOverlay
from hermes.control.explaining import Explainer, Question, Unasked
from hermes.control.policytests import judge
from hermes.test.control.documents import NAMES, PACKETS, SMALL, made


def values(text: str, node: str) -> dict[str, Any]:
    """
    A node's configuration as plain values.
    """
    _, compiled = made(text)
    found: dict[str, Any] = yaml.safe_load(compiled.nodes[node].text)
    return found


class CompileTests(SynchronousTestCase):
    """
    From a document to nodes.
    """

    def test_theSameGivesTheSameBytes(self) -> None:
        """
        A comment changes no node; what concerns one changes that one.
        """
        _, before = made(SMALL)
        _, again = made(f"# a comment\n{SMALL}")
        self.assertEqual(again.digests(), before.digests())
        _, after = made(SMALL.replace("10.1.0.6:3306", "10.1.0.7:3306"))
        changed = difference(
            {name: output.text for name, output in before.nodes.items()},
            {name: output.text for name, output in after.nodes.items()},
        )
        self.assertEqual([(each.node, each.change) for each in changed], [("gateway", "changed")])
        self.assertIn("+    endpoints: ['10.1.0.5:3306', '10.1.0.7:3306']", changed[0].lines)

    def test_whatAnotherDocumentHasComeToMakesNoDifference(self) -> None:
        """
        Only the work is less: nodes that stay the same are the same objects.
        """
        changed = SMALL.replace("10.1.0.6:3306", "10.1.0.7:3306")
        _, before = made(SMALL)
        _, whole = made(changed)
        after = compile(loadOverlay(changed), before=before)
        self.assertEqual(after, whole)
        again = {name for name in after.nodes if after.nodes[name] is before.nodes[name]}
        self.assertEqual(again, {"edge", "relay", "other"})
        for name in again:
            self.assertIs(after.configs[name], before.configs[name])

    def test_whatIsEqualAndWrittenOtherwiseIsAnother(self) -> None:
        """
        1 and 1.0, the same keys in another order.
        """
        text = SMALL.replace('edge.example:8443",', 'edge.example:8443", drain: 1,')
        _, before = made(text)
        for other in (
            text.replace("drain: 1,", "drain: 1.0,"),
            text.replace("type: proxy, bind: 127.0.0.1:3128", "bind: 127.0.0.1:3128, type: proxy"),
        ):
            self.assertNotEqual(other, text)
            after = compile(loadOverlay(other), before=before)
            self.assertEqual(after, made(other)[1])
            self.assertNotEqual(after.nodes["edge"], before.nodes["edge"])

    def test_aNodeHasWhatItNeedsAndNothingElse(self) -> None:
        """
        The next nodes as upstreams; the services where they are.
        """
        edge, relay, gateway = (values(SMALL, name) for name in ("edge", "relay", "gateway"))
        self.assertEqual((set(edge["upstreams"]), set(relay["upstreams"])), ({"relay", "other"}, {"gateway"}))
        self.assertEqual(set(gateway["upstreams"]), {"db.hermes", "shop.hermes"})
        self.assertEqual(gateway["upstreams"]["shop.hermes"]["health"], {"path": "/healthz"})
        self.assertEqual(edge["listeners"]["overlay"], {"type": "tunnel", "bind": "0.0.0.0:8443"})
        self.assertEqual(edge["identity"]["certificate"], "node.pem")

    def test_measurementsMovePaths(self) -> None:
        """
        Where links have no weight.
        """
        text = SMALL.replace(", weight: 10", "").replace(", weight: 20", "")
        fast = Measurements({("edge", "relay"): 1, ("gateway", "relay"): 1})
        compiled = compile(loadOverlay(text), fast)
        route = Explainer(compiled).may(Question("db.hermes:3306", "alice"), "edge")
        self.assertEqual(route.path, ("edge", "relay", "gateway"))

    def test_whatCanNotRunIsTold(self) -> None:
        """
        With the node and the place in what it would run.
        """
        text = SMALL.replace("bind: 127.0.0.1:3128", "bind: 127.0.0.1:3128, assist: [who]")
        compiled = compile(loadOverlay(text))
        self.assertIn("no assisting component is called 'who'", compiled.problems[0])
        self.assertTrue(compiled.problems[0].startswith("edge: "))

    def test_aNodesOwnRoutesComeFirst(self) -> None:
        """
        And its own sections are its own.
        """
        text = SMALL.replace(
            "bind: 127.0.0.1:3128}}}",
            "bind: 127.0.0.1:3128}}, drain: 5s, routes: [{match: {target: secret.hermes}, deny: here}]}",
        )
        edge = values(text, "edge")
        self.assertEqual((edge["routes"][0]["deny"], edge["drain"]), ("here", "5s"))


class PolicyTests(SynchronousTestCase):
    """
    Who may do what, as the nodes would judge.
    """

    def may(self, text: str, destination: str, user: str | None = None, at: str = "edge", **fields: Any) -> bool:
        """
        Whether it gets there.
        """
        _, compiled = made(text)
        return Explainer(compiled).may(Question(destination, user, **fields), at).allowed

    def test_usersReachWhatThePolicyAllows(self) -> None:
        """
        By their groups; nothing else, and nobody else.
        """
        self.assertTrue(self.may(SMALL, "db.hermes:3306", "alice"))
        self.assertFalse(self.may(SMALL, "db.hermes:3306", "bob"))
        self.assertFalse(self.may(SMALL, "db.hermes:3306"))
        self.assertFalse(self.may(SMALL, "db.hermes:3307", "alice"))
        self.assertFalse(self.may(SMALL, "elsewhere.example:80", "alice"))

    def test_aServiceIsAskedForByWhatItSpeaks(self) -> None:
        """
        Datagrams of one of UDP, a request of one of HTTP.
        """
        text = SMALL.replace(
            "services:",
            "services:\n  ntp.hermes: {on: [gateway], protocol: udp, ports: [123], endpoints: ['10.1.0.7:123']}",
        ).replace("policy:", "policy:\n  - {allow: [user:alice], to: [ntp.hermes, shop.hermes]}")
        self.assertTrue(self.may(text, "ntp.hermes:123", "alice"))
        self.assertFalse(self.may(text, "ntp.hermes:123", "bob"))
        self.assertTrue(self.may(text, "shop.hermes:80", "alice"))
        self.assertFalse(self.may(text, "shop.hermes:80", "bob"))

    def test_requestsAreJudgedByWhatTheyAsk(self) -> None:
        """
        Of a user, and of whoever comes in at a node.
        """
        for user in ("bob", None):
            self.assertTrue(self.may(SMALL, "http://shop.hermes/public/x", user))
            self.assertFalse(self.may(SMALL, "http://shop.hermes/private", user))
            self.assertFalse(self.may(SMALL, "http://shop.hermes/public/x", user, method="POST"))
        self.assertFalse(self.may(SMALL, "http://shop.hermes/public/x", "alice", at="gateway"))

    def test_theFirstEntryDecides(self) -> None:
        """
        Of connections and of packets, though of these the longest prefix does at a node.
        """
        allowed = SMALL.replace("policy:\n", "policy:\n  - {deny: user:alice, to: any, reason: out}\n")
        self.assertFalse(self.may(allowed, "db.hermes:3306", "alice"))
        self.assertFalse(self.may(PACKETS, "10.1.0.9", at="laptop", packets=True))
        self.assertTrue(self.may(PACKETS, "10.1.0.9:80", at="laptop", packets=True))
        self.assertTrue(self.may(PACKETS, "10.1.3.9", at="laptop", packets=True))
        turned = PACKETS.replace("{allow: [node:laptop", "{allow: [node:laptop, any").replace(
            "to: 10.1.0.0/24", "to: 10.2.0.0/24"
        )
        self.assertTrue(self.may(turned, "10.1.0.9", at="laptop", packets=True))
        hidden = (
            PACKETS.replace(
                "policy:\n", "policy:\n  - {allow: node:branch, to: 10.1.0.0/16}\n  - {deny: any, to: 10.1.0.0/16}\n"
            )
            + "  - {allow: node:laptop, to: 10.1.7.0/24}\n"
        )
        self.assertFalse(self.may(hidden, "10.1.7.7", at="laptop", packets=True))
        self.assertTrue(self.may(hidden, "10.1.7.7", at="branch", packets=True))

    def test_nodesInTheMiddleLetInWhatIsSentThroughThem(self) -> None:
        """
        By those that send it, and nothing else of theirs.
        """
        relay = values(SMALL, "relay")
        self.assertEqual(relay["routes"][0]["match"]["node"], ["edge"])
        gateway = values(SMALL, "gateway")
        self.assertEqual(gateway["routes"][0]["match"]["node"], ["other", "relay"])
        self.assertNotIn("edge", gateway["routes"][0]["match"]["node"])

    def test_anAnswerSaysThePathAndWhy(self) -> None:
        """
        And where it would go if the next node were down.
        """
        _, compiled = made(SMALL)
        found = Explainer(compiled).may(Question("db.hermes:3306", "alice"), "edge")
        self.assertEqual((found.path, found.backups), (("edge", "relay", "gateway"), {"edge": ("other",)}))
        self.assertEqual(found.end, "gateway: to db.hermes (10.1.0.5:3306, 10.1.0.6:3306)")
        self.assertEqual([node for node, _ in found.lines], ["edge", "relay", "gateway"])
        refused = Explainer(compiled).may(Question("db.hermes:3306", "bob"), "edge")
        self.assertIn("no route takes tcp to db.hermes:3306 from bob", refused.end)
        with self.assertRaisesRegex(Unasked, "names no port"):
            Explainer(compiled).may(Question("db.hermes", "bob"), "edge")

    def test_testsAreTriedOnWhatTheNodesWouldRun(self) -> None:
        """
        From every node where somebody comes in, or those that are named.
        """
        text = SMALL + (
            "tests:\n"
            '  - {user: alice, can: ["db.hermes:3306"]}\n'
            '  - {user: bob, can: ["db.hermes:3306"], cannot: ["http://shop.hermes/private"]}\n'
        )
        document, compiled = made(text)
        verdicts = judge(document, compiled)
        self.assertEqual([(each.number, each.passed) for each in verdicts], [(0, True), (1, False), (1, True)])
        self.assertEqual(verdicts[1].text, "bob can reach db.hermes:3306 from edge")
        self.assertIn("no route takes", verdicts[1].why)


class PacketTests(SynchronousTestCase):
    """
    IP packets.
    """

    def test_theyGoNestedAndHaveAWayThatSharesNothing(self) -> None:
        """
        So that the end knows who sends them; the nodes between let the tunnels pass.
        """
        laptop = values(PACKETS, "laptop")
        route = next(each for each in laptop["routes"] if each["match"]["target"] == ["10.1.0.0/16"] and "via" in each)
        self.assertEqual(
            (route["via"], route["nested"], route["backup"]), (["relay", "gateway"], True, [["other", "gateway"]])
        )
        self.assertEqual(set(laptop["upstreams"]), {"relay", "other", "gateway"})
        relay = values(PACKETS, "relay")
        carried = {"match": {"node": ["laptop"], "target": ["gw.example:8443"]}, "allowSpecial": True}
        self.assertIn(carried, relay["routes"])

    def test_theEndKnowsWhoseAddressesAreWhose(self) -> None:
        """
        Its pools, and what lies behind the others; and lets in those that send through it.
        """
        gateway = values(PACKETS, "gateway")
        self.assertEqual(
            (gateway["ip"]["pools"], gateway["ip"]["networks"]), (["10.77.0.0/24"], {"branch": ["10.5.0.0/16"]})
        )
        route = next(each for each in gateway["routes"] if each["match"].get("node") == ["branch", "laptop"])
        self.assertEqual((route["to"], route["match"]["protocol"]), ("lan", "ip"))


class NameTests(SynchronousTestCase):
    """
    NDN prefixes.
    """

    def test_oneThatHasAPrefixKnowsTheOthersThatHaveItAsAReserve(self) -> None:
        document = NAMES.replace("/onl: {on: [three]", "/onl: {on: [one, three]")
        self.assertNotEqual(document, NAMES)
        names = values(document, "one")["listeners"]["names"]
        self.assertEqual(names["prefixes"], [{"prefix": "/onl", "face": "three", "cost": 1000}])

    def test_aFaceLeadsToEachNodeThatHasAPrefix(self) -> None:
        """
        As a flow, whose way the routes say; what the node has itself stays.
        """
        one, two, three = (values(NAMES, name) for name in ("one", "two", "three"))
        names = one["listeners"]["names"]
        self.assertEqual(names["faces"], {"three": {"to": "udp:ndn.three.hermes:6363"}})
        self.assertEqual(names["prefixes"], [{"prefix": "/onl", "face": "three"}])
        self.assertEqual(names["strategies"], {"/onl": "asf"})
        self.assertEqual(set(three["listeners"]["forwarder"]["faces"]), {"nfd", "one"})
        target = ["ndn.three.hermes:6363"]
        self.assertIn({"match": {"listener": "names", "target": target}, "via": ["two"]}, one["routes"])
        self.assertIn({"match": {"node": ["one"], "target": target}, "via": ["three"]}, two["routes"])
        self.assertIn({"match": {"node": ["two"], "target": target}, "to": "forwarder"}, three["routes"])
