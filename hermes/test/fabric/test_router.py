from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import NoRoute
from hermes.fabric.router import Route, Router
from hermes.matching import Match, TargetPattern, canonicalHost
from hermes.values import Flow, Identity, Target


def flowTo(
    target: str,
    protocol: str = "tcp",
    user: str | None = None,
    node: str | None = None,
    source: str | None = "192.0.2.7",
    listener: str = "apps",
) -> Flow:
    return Flow(protocol, Target.fromText(target), (source and (source, 5)) or None, Identity(node, user), listener)


def routes(*targets: str) -> list[Route]:
    return [Route(Match.fromTexts(targets=[target]), name=target, to="x") for target in targets]


class Targets(SynchronousTestCase):
    def taken(self, pattern: str, target: str) -> bool:
        return Match.fromTexts(targets=[pattern]).refusal(flowTo(target)) is None

    def test_anExactHostMatchesInAnyCaseWithOrWithoutItsFinalDot(self) -> None:
        self.assertTrue(self.taken("db.hermes", "DB.Hermes.:3306"))
        self.assertTrue(self.taken("DB.hermes.", "db.hermes:3306"))
        self.assertFalse(self.taken("db.hermes", "x.db.hermes:3306"))

    def test_aPortNarrowsWhateverItFollows(self) -> None:
        for pattern in ("db.hermes:53", "*.hermes:53", ":53"):
            self.assertTrue(self.taken(pattern, "db.hermes:53"), pattern)
            self.assertFalse(self.taken(pattern, "db.hermes:54"), pattern)
        self.assertTrue(self.taken("10.0.0.0/8:53", "10.1.1.1:53"))
        self.assertTrue(self.taken("[2001:db8::/32]:53", "[2001:db8::1]:53"))
        self.assertFalse(self.taken("[2001:db8::1]:53", "[2001:db8::1]:54"))

    def test_aWildcardMatchesNamesBelowAtAnyDepthAndNotItself(self) -> None:
        self.assertTrue(self.taken("*.example", "a.b.example:1"))
        self.assertFalse(self.taken("*.example", "example:1"))
        self.assertFalse(self.taken("*.example", "badexample:1"))

    def test_aNetworkMatchesAddressesInWhateverSpellingAndNeverNames(self) -> None:
        for target in ("10.1.2.3:1", "[::ffff:10.1.2.3]:1", "10.66051:1", "0xa.1.2.3:1", "167837955:1", "10.1.2.3.:1"):
            self.assertTrue(self.taken("10.0.0.0/8", target), target)
        self.assertFalse(self.taken("10.0.0.0/8", "10.example:1"))
        self.assertTrue(self.taken("2001:db8::/32", "[2001:DB8:0::1]:1"))
        self.assertFalse(self.taken("2001:db8::/32", "10.1.2.3:1"))
        self.assertFalse(self.taken("0.0.0.0/0", "[2001:db8::1]:1"))

    def test_anAddressIsMatchedWhateverItsSpelling(self) -> None:
        self.assertTrue(self.taken("2001:db8::1", "[2001:db8:0:0::1]:1"))
        self.assertEqual(ip_address("127.0.0.1"), canonicalHost("127.1"))
        self.assertEqual("1.de", canonicalHost("1.de"))

    def test_aPatternPrintsAsItIsWritten(self) -> None:
        for text in (
            "db.hermes",
            "db.hermes:53",
            "*.example",
            "10.0.0.0/8",
            ":53",
            "*",
            "2001:db8::/32",
            "[2001:db8::1]:443",
            "[2001:db8::/32]:443",
        ):
            self.assertEqual(text, str(TargetPattern.fromText(text)))

    def test_whatIsNoTargetIsRefusedWithASentence(self) -> None:
        for text in ("", "a b", "10.0.0.1/8", "x/24", "a:b", "a:99999", "[::1", "a..b", "a@b:1", "*.*", "x*.y", ":"):
            with self.assertRaises(ValueError, msg=text):
                TargetPattern.fromText(text)


class Deciding(SynchronousTestCase):
    def test_theFirstMatchWins(self) -> None:
        router = Router(routes("*.hermes", "db.hermes", "*"))
        self.assertEqual("*.hermes", router.decide(flowTo("db.hermes:1")).route.name)
        self.assertEqual("*", router.decide(flowTo("example.org:1")).route.name)

    def test_nothingMatchesIsDeniedAndSaysWhat(self) -> None:
        with self.assertRaises(NoRoute) as caught:
            Router(routes("db.hermes")).decide(flowTo("example.org:80", user="alice"))
        self.assertIn("tcp to example.org:80 from alice", str(caught.exception))

    def test_aDenyIsRefusedWithItsReason(self) -> None:
        router = Router([Route(Match(), name="last", deny="not on our watch")])
        with self.assertRaises(NoRoute) as caught:
            router.decide(flowTo("example.org:80"))
        self.assertIn("not on our watch", str(caught.exception))
        self.assertEqual(403, caught.exception.status)

    def test_allThatIsGivenMustHold(self) -> None:
        router = Router(
            [
                Route(
                    Match.fromTexts(
                        targets=["db.hermes", "*.example"],
                        users=["alice", "bob"],
                        nodes=["edge"],
                        listeners=["apps"],
                        protocols=["tcp"],
                        sources=["192.0.2.0/24", "2001:db8::/32"],
                    )
                )
            ]
        )
        good = dict(target="db.hermes:1", user="bob", node="edge", source="192.0.2.9")
        router.decide(flowTo(**good))
        router.decide(flowTo(**{**good, "source": "2001:db8::9"}))
        router.decide(flowTo(**{**good, "source": "::ffff:192.0.2.9"}))
        for change in (
            {"target": "other:1"},
            {"user": "eve"},
            {"user": None},
            {"node": None},
            {"listener": "x"},
            {"protocol": "udp"},
            {"source": "192.0.3.1"},
            {"source": None},
        ):
            with self.assertRaises(NoRoute, msg=change):
                router.decide(flowTo(**{**good, **change}))  # type: ignore[arg-type]

    def test_whoNamesASpecialPurposeTargetOrAnUpstreamAllowsIt(self) -> None:
        for texts, target, allowed in (
            (["10.0.0.0/8"], "10.1.1.1:1", True),
            (["127.0.0.1:80"], "127.0.0.1:80", True),
            (["localhost"], "localhost:80", True),
            (["0.0.0.0/0"], "10.1.1.1:1", False),
            (["*"], "10.1.1.1:1", False),
            (["*", "10.0.0.0/8"], "10.1.1.1:1", True),
            (["10.0.0.0/8", "*"], "192.168.1.1:1", False),
            (["db.hermes"], "db.hermes:1", False),
        ):
            router = Router([Route(Match.fromTexts(targets=texts))])
            self.assertEqual(allowed, router.decide(flowTo(target)).allowSpecial, (texts, target))
        self.assertTrue(Router([Route(Match(), to="db")]).decide(flowTo("x:1")).allowSpecial)
        self.assertTrue(Router([Route(Match(), allowSpecial=True)]).decide(flowTo("x:1")).allowSpecial)

    def test_anUnknownProtocolOrNetworkIsRefusedWithASentence(self) -> None:
        with self.assertRaises(ValueError):
            Match.fromTexts(protocols=["ftp"])
        with self.assertRaises(ValueError):
            Match.fromTexts(sources=["10.0.0.1/8"])

    def test_theCostOfADecisionDoesNotGrowWithRoutesThatNameOtherTargets(self) -> None:
        many = [Route(Match.fromTexts(targets=[f"host{number}.hermes"]), to="x") for number in range(5000)]
        many += [Route(Match.fromTexts(users=[f"user{number}"]), to="x") for number in range(5000)]
        router = Router([*many, Route(Match(), name="last")])
        flow = flowTo("host4999.hermes:1", user="user7")
        self.assertEqual(3, len(router._index.candidates(flow, "host4999.hermes")))

    def test_anExplanationSaysOfEachRouteWhyItDidOrDidNotMatch(self) -> None:
        router = Router(
            [
                Route(Match.fromTexts(targets=["db.hermes"]), name="db", to="db"),
                Route(Match.fromTexts(users=["alice"]), deny="no alice"),
                Route(Match(), name="rest", via=("r1", "r2"), nested=True),
                Route(Match(), name="never"),
            ]
        )
        self.assertEqual(
            [
                "route db: does not match: target is x.org:80, not db.hermes",
                "route 2: does not match: user is nobody, not alice",
                "route rest: matches: to the target as asked for via r1, r2, nested",
                "route never: would match, but is not reached",
            ],
            router.explain(flowTo("x.org:80")),
        )
        self.assertEqual("no route matches: denied", Router([]).explain(flowTo("x:1"))[-1])
        self.assertEqual("route 2: matches: denied: no alice", router.explain(flowTo("x:1", user="alice"))[1])


hosts = st.sampled_from(["db.hermes", "a.example", "b.a.example", "10.1.2.3", "10.1", "::1", "2001:db8::5", "x.org"])
patterns = st.sampled_from(
    [
        "db.hermes",
        "db.hermes:53",
        "*.example",
        "*.a.example:80",
        "10.0.0.0/8",
        "10.1.0.0/16:53",
        "0.0.0.0/0",
        "2001:db8::/32",
        "::/0",
        "::1",
        ":53",
        "*",
    ]
)


def someOf(*names: str) -> st.SearchStrategy[list[str]]:
    return st.one_of(st.just([]), st.lists(st.sampled_from(names), min_size=1, max_size=2))


matches = st.builds(
    Match.fromTexts,
    targets=st.lists(patterns, max_size=3),
    users=someOf("alice", "bob"),
    nodes=someOf("edge", "relay"),
    listeners=someOf("apps", "overlay"),
    protocols=someOf("tcp", "udp"),
    sources=someOf("192.0.2.0/24", "2001:db8::/32"),
)
flows = st.builds(
    Flow,
    st.sampled_from(["tcp", "udp", "http"]),
    st.builds(Target, hosts, st.sampled_from([53, 80])),
    st.sampled_from([None, ("192.0.2.1", 1), ("2001:db8::1", 1), ("203.0.113.1", 1)]),
    st.builds(Identity, st.sampled_from([None, "edge", "relay"]), st.sampled_from([None, "alice", "bob"])),
    st.sampled_from(["apps", "overlay"]),
)


class Compiled(SynchronousTestCase):
    @settings(deadline=None, max_examples=500)
    @given(
        st.lists(
            st.builds(Route, matches, deny=st.sampled_from([None, None, "no"]), to=st.sampled_from([None, "x"])),
            max_size=8,
        ),
        flows,
    )
    def test_theCompiledRouterDecidesAsANaiveScanDoes(self, given: list[Route], flow: Flow) -> None:
        router = Router(given)
        host = canonicalHost(flow.target.host)
        for route in given:
            if route.match.refusal(flow) is None:
                break
        else:
            with self.assertRaises(NoRoute):
                router.decide(flow)
            return
        if route.deny is not None:
            with self.assertRaises(NoRoute):
                router.decide(flow)
            return
        decision = router.decide(flow)
        self.assertIs(route, decision.route)
        special = any(pattern.special and pattern.matches(host, flow.target.port) for pattern in route.match.targets)
        self.assertEqual(special or route.to is not None, decision.allowSpecial)

    @settings(deadline=None)
    @given(matches, flows)
    def test_takesIsRefusalWithoutTheWords(self, match: Match, flow: Flow) -> None:
        self.assertEqual(match.takes(flow), match.refusal(flow) is None)
