"""
Which way the requests of a route go.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from hermes.errors import FlowError, HopUnavailable, NoRoute
from hermes.fabric.paths import DIRECT, Onward
from hermes.fabric.router import Denied, Route
from hermes.http import plans as module
from hermes.http.actions import RequestActions
from hermes.http.plans import Plan
from hermes.http.reliable import Delivery
from hermes.http.retry import REASONS, RetryPolicy
from hermes.interfaces import IHop, IRequestSender, IRequestUpstream
from hermes.matching import Match
from hermes.test.http.ways import Dialer, Planning, Sender
from hermes.values import Identity, Target

ANY = Match()
RETRYING = RequestActions(delivery=Delivery(RetryPolicy(REASONS, tries=2)))


class WayTests(Planning):
    def assertWay(self, plan: Plan, upstream: str, *hops: str) -> None:
        self.assertEqual((plan.upstream, plan.hops), (upstream, hops))

    def assertSent(self, dialer: Dialer, via: bytes | None = None) -> None:
        """
        One request has come, which tells of these hops.
        """
        self.assertEqual([head.get(b"hermes-via") for head in dialer.heads], [via])
        dialer.exchanges.clear()

    def test_theyAreWhatTheySeem(self) -> None:
        verifyObject(IHop, self.a)
        verifyObject(IRequestUpstream, self.web)
        verifyObject(IRequestSender, Sender())

    # Straight

    def test_withoutAnythingTheTargetIsGoneToAsItIs(self) -> None:
        self.plan(Route(ANY, "open"))
        plan, _ = self.send()
        self.assertEqual(plan.routeName, "open")
        self.assertWay(plan, DIRECT)
        (origins,) = self.origins
        self.assertEqual((len(origins.sent), origins.dialer.special), (1, False))

    def test_specialTargetsAreForThoseWhoMay(self) -> None:
        special, admin = Match.fromTexts(targets=["10.0.0.1"]), Match(users=frozenset({"admin"}))
        self.plan(Route(special, "inner"), Route(admin, "free", allowSpecial=True), Route(ANY))
        self.send(target=Target("10.0.0.1", 80))
        self.send(identity=Identity(user="admin"))
        self.send()
        self.assertEqual([origins.dialer.special for origins in self.origins], [True, False])
        self.assertEqual([len(origins.sent) for origins in self.origins], [2, 1])

    def test_anUpstreamIsGoneToStraight(self) -> None:
        self.plan(Route(ANY, to="web"))
        plan, _ = self.send()
        self.assertWay(plan, "web")
        self.assertEqual(len(self.web.senders[None].sent), 1)

    # Through nodes

    def test_aNodeIsGivenTheRequestAsItIs(self) -> None:
        for route in (Route(ANY, to="a"), Route(ANY, via=("a",)), Route(ANY, via=("a",), nested=True)):
            self.plan(route)
            plan, _ = self.send()
            self.assertWay(plan, "a", "a")
            self.assertSent(self.a.dialer)
        self.assertEqual(self.origins, [])

    def test_theFirstOfSeveralIsToldTheRest(self) -> None:
        for route in (Route(ANY, to="c", via=("a", "b")), Route(ANY, via=("a", "b", "c"))):
            self.plan(route)
            plan, _ = self.send()
            self.assertWay(plan, "c", "a", "b", "c")
            self.assertSent(self.a.dialer, b'"b", "c"')
        self.assertEqual((self.b.dialer.exchanges, self.c.dialer.exchanges), ([], []))

    def test_nestedTheLastAloneSeesTheRequest(self) -> None:
        self.plan(Route(ANY, to="c", via=("a", "b"), nested=True))
        plan, _ = self.send()
        self.assertWay(plan, "c", "a", "b", "c")
        (inner,) = self.c.inside.values()
        self.assertEqual(inner.way, ("a", "b", "c"))
        self.assertSent(inner)
        self.assertEqual((self.a.dialer.exchanges, self.b.dialer.exchanges), ([], []))

    def test_anUpstreamBehindHopsIsReachedThroughTunnels(self) -> None:
        self.plan(Route(ANY, to="web", via=("a",)))
        plan, _ = self.send()
        self.assertWay(plan, "web", "a")
        self.assertEqual(len(self.web.senders[self.a.dialer].sent), 1)
        self.plan(Route(ANY, to="web", via=("a", "b")))
        plan, _ = self.send()
        self.assertWay(plan, "web", "a", "b")
        carrier = next(each for each in self.web.senders if isinstance(each, Onward))
        self.assertEqual((carrier.dialer, carrier.via), (self.a.dialer, ("b",)))
        self.plan(Route(ANY, to="web", via=("a", "b"), nested=True))
        self.send()
        (inner,) = self.b.inside.values()
        self.assertEqual(len(self.web.senders[inner].sent), 1)
        self.assertEqual((self.a.dialer.exchanges, self.b.dialer.exchanges), ([], []))

    def test_anotherProxyIsGoneThroughInTunnels(self) -> None:
        self.plan(Route(ANY, to="foreign"))
        plan, _ = self.send()
        self.assertWay(plan, "foreign", "foreign")
        self.assertEqual([origins.dialer for origins in self.origins], [self.foreign.dialer])
        self.plan(Route(ANY, to="foreign", via=("a",), nested=True))
        self.send()
        self.assertEqual(self.origins[1].dialer.way, ("a", "foreign"))
        self.plan(Route(ANY, to="a", via=("foreign",), nested=True))
        self.send()
        (inner,) = self.a.inside.values()
        self.assertEqual(inner.way, ("foreign", "a"))
        self.assertSent(inner)

    def test_routesThatGoTheSameWayShareIt(self) -> None:
        users = [Match(users=frozenset({name})) for name in ("alice", "bob")]
        for ways in ({"to": "web", "via": ("a", "b")}, {"via": ("foreign",)}, {}):
            arguments: Any = ways
            self.setUp()
            self.plan(*(Route(match, **arguments) for match in users))
            for name in ("alice", "bob"):
                self.send(identity=Identity(user=name))
            made = [*self.web.senders.values(), *self.origins]
            self.assertEqual([len(each.sent) for each in made], [2])

    # Nowhere

    def test_whatIsNotConfiguredCanNotBeGoneTo(self) -> None:
        for route, kind in (
            (Route(ANY, to="gone"), HopUnavailable),
            (Route(ANY, via=("gone",)), HopUnavailable),
            (Route(ANY, via=("a", "gone"), nested=True), HopUnavailable),
            (Route(ANY, via=("web",)), HopUnavailable),
            (Route(ANY, to="web", via=("gone",)), HopUnavailable),
            (Route(ANY, to="stream"), FlowError),
            (Route(ANY, actions=RequestActions(assist=("gone",))), FlowError),
            (Route(ANY, actions=RequestActions(split=(("web", 1), ("gone", 1)))), HopUnavailable),
        ):
            self.plan(route)
            for _ in range(2):
                error = self.assertRaises(FlowError, self.plans.decide, self.request())
                self.assertIs(type(error), kind, route)

    def test_whatNoRouteTakesIsRefused(self) -> None:
        self.plan(Route(Match(users=frozenset({"bob"}))), Route(Match(users=frozenset({"alice"})), "hers", deny="no"))
        denied = self.assertRaises(Denied, self.plans.decide, self.request())
        self.assertEqual(denied.routeName, "hers")
        self.assertRaises(NoRoute, self.plans.decide, self.request(identity=Identity(user="carol")))

    def test_aPlanIsMadeOnce(self) -> None:
        self.plan(Route(Match(users=frozenset({"bob"})), to="web"), Route(ANY, to="web", actions=RETRYING))
        plans = {self.plans.decide(self.request()) for _ in range(3)}
        self.assertEqual(len(plans), 1)
        self.assertNotIn(self.plans.decide(self.request(identity=Identity(user="bob"))), plans)


class OnwardTests(Planning):
    """
    A way that another node has chosen.
    """

    def test_itGoesToTheFirstThatIsToldOfTheRest(self) -> None:
        self.plan(Route(ANY, "rule", to="web"))
        plan, _ = self.send(via=("a", "x", "y"))
        self.assertEqual((plan.routeName, plan.upstream, plan.hops), ("rule", "y", ("a", "x", "y")))
        self.assertEqual([head.get(b"hermes-via") for head in self.a.dialer.heads], [b'"x", "y"'])
        plan, _ = self.send(via=("b",))
        self.assertEqual((plan.upstream, plan.hops), ("b", ("b",)))
        self.assertEqual([head.get(b"hermes-via") for head in self.b.dialer.heads], [None])
        self.assertEqual(self.web.senders, {})

    def test_throughAnotherProxyItGoesInTunnels(self) -> None:
        self.plan(Route(ANY))
        self.send(via=("foreign",))
        self.send(via=("foreign", "x"))
        one, several = (origins.dialer for origins in self.origins)
        self.assertIs(one, self.foreign.dialer)
        self.assertEqual((several.dialer, several.via), (self.foreign.dialer, ("x",)))

    def test_onlyNodesChoose(self) -> None:
        self.plan(Route(ANY, to="web"))
        plan, _ = self.send(via=("a",), identity=Identity(user="alice"))
        self.assertEqual((plan.upstream, self.a.dialer.exchanges), ("web", []))

    def test_itMustBeginAtAHopOfOurs(self) -> None:
        self.plan(Route(ANY))
        for name in ("gone", "web"):
            self.assertRaises(NoRoute, self.plans.decide, self.request(via=(name, "a")))

    def test_routesDenyItAsAnythingElse(self) -> None:
        self.plan(Route(Match(nodes=frozenset({"before"})), "theirs", deny="no"), Route(ANY))
        self.assertRaises(Denied, self.plans.decide, self.request(via=("a",)))

    def test_theRoutesDeliveryHolds(self) -> None:
        self.plan(Route(ANY, actions=RETRYING))
        self.a.dialer.failWith = HopUnavailable("gone")
        for via in (("a",), ("a", "x")):
            request = self.request(via=via)
            _, sent = self.send(request)
            self.clock.advance(10)
            self.failureResultOf(sent, HopUnavailable)
            self.assertEqual((request.record.tries, request.record.retries), (2, ("connect",)))

    def test_theSameWayIsPlannedOnce(self) -> None:
        self.plan(Route(ANY))
        self.assertIs(*(self.plans.decide(self.request(via=("a", "x"))) for _ in range(2)))
        users = [Route(Match(nodes=frozenset({name}))) for name in ("one", "two")]
        self.plan(*users)
        for node in ("one", "two"):
            self.send(via=("foreign", "x"), identity=Identity(node=node))
        self.assertEqual([len(origins.sent) for origins in self.origins], [2])

    def test_waysThatNodesThinkUpDoNotPileUp(self) -> None:
        self.patch(module, "MAX_ONWARDS", 3)
        self.plan(Route(ANY))
        before = self.sizes()
        for first in ("a", "foreign"):
            for number in range(10):
                self.send(via=(first, f"x{number}"))
        for size, was in zip(self.sizes(), before, strict=True):
            self.assertLessEqual(size, was + 3)

    def sizes(self) -> list[int]:
        """
        How much the plans remember, in each place.
        """
        return [len(kept) for kept in vars(self.plans).values() if isinstance(kept, dict)]
