"""
Each prefix has its strategy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.ndn.forwarder.actions import Actions
from hermes.ndn.forwarder.checking import checkStrategy
from hermes.ndn.forwarder.pitentry import PITEntry
from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.strategies.asf import ASF, ASFType
from hermes.ndn.forwarder.strategies.base import Strategy
from hermes.ndn.forwarder.strategies.bestroute import BestRoute, BestRouteType
from hermes.ndn.forwarder.strategies.multicast import Multicast, MulticastType
from hermes.ndn.forwarder.strategychoice import StrategyChoice, installedStrategies
from hermes.ndn.interfaces import IStrategy, IStrategyType
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView
from hermes.test.ndn.forwarder.forwarding import ForwardingCase, ends, interest, value


class InstalledTests(SynchronousTestCase):
    """
    Strategies are plugins.
    """

    def test_thoseOfHermesAreFound(self) -> None:
        found = {each.type: each for each in installedStrategies()}
        self.assertLessEqual({"asf", "best-route", "multicast"}, found.keys())
        for each in found.values():
            verifyObject(IStrategyType, each)

    def test_theyKeepTheirPromises(self) -> None:
        for each in (ASFType(), BestRouteType(), MulticastType()):
            verifyObject(IStrategyType, each)
            verifyObject(IPlugin, each)
            verifyObject(IStrategy, each.strategy(Actions.__new__(Actions)))

    def test_oneThatIsClaimedTwiceIsTheFirst(self) -> None:
        first, second = BestRouteType(), BestRouteType()
        self.patch(
            __import__("hermes.ndn.forwarder.strategychoice", fromlist=["x"]),
            "getPlugins",
            lambda interface: iter([first, second]),
        )
        self.assertEqual(installedStrategies(), [first])


class ChoiceTests(SynchronousTestCase):
    """
    L{StrategyChoice}.
    """

    def setUp(self) -> None:
        self.choice = StrategyChoice(Actions(Clock()), [ASFType(), BestRouteType(), MulticastType()])

    def strategy(self, text: str) -> type[Any]:
        return type(self.choice.longest(value(text), ends(value(text))).strategy)  # type: ignore[union-attr]

    def set(self, prefix: str, name: str) -> str:
        return str(self.choice.set(value(prefix), self.choice.named(name)).name)

    def test_bestRouteUnlessSomethingElseWasChosen(self) -> None:
        self.assertIs(self.strategy("/anything"), BestRoute)
        self.set("/a", "multicast")
        self.set("/a/b", "asf")
        self.assertEqual([self.strategy(name) for name in ("/a/x", "/a/b/c", "/b")], [Multicast, ASF, BestRoute])
        self.assertTrue(self.choice.unset(value("/a/b")))
        self.assertFalse(self.choice.unset(value("/a/b")))
        self.assertIs(self.strategy("/a/b/c"), Multicast)

    def test_theOneOfTheRootCanBeReplacedAndNotRemoved(self) -> None:
        self.set("/", "multicast")
        self.assertIs(self.strategy("/x"), Multicast)
        self.assertRaises(ValueError, self.choice.unset, b"")

    def test_aStrategyIsNamedByItsTypeOrItsNameWithOrWithoutVersion(self) -> None:
        whole = "/localhost/nfd/strategy/asf/v=5"
        for name in ("asf", "/localhost/nfd/strategy/asf", whole, "ndn:" + whole, "/localhost/nfd/strategy/asf/%FD%05"):
            self.assertEqual(self.set("/a", name), whole)

    def test_parametersFollowTheVersion(self) -> None:
        whole = "/localhost/nfd/strategy/asf/v=5/probing-interval~30000/max-timeouts~2"
        self.assertEqual(self.set("/a", whole), whole)
        self.assertEqual(self.set("/a", "asf/probing-interval~30000/max-timeouts~2"), whole)
        self.assertEqual(self.set("/a", "/localhost/nfd/strategy/asf/probing-interval~30000/max-timeouts~2"), whole)
        strategy: Any = self.choice.longest(value("/a"), ends(value("/a"))).strategy  # type: ignore[union-attr]
        self.assertEqual((strategy._probingInterval, strategy._maxTimeouts), (30, 2))

    def test_whatDoesNotExistIsRefused(self) -> None:
        for name in (
            "/localhost/nfd/strategy/none",
            "/localhost/nfd/strategy/asf/v=4",
            "/localhost/nfd/strategy/asf/%FD%04",
            "/localhost/nfd/strategy",
        ):
            self.assertRaises(LookupError, self.set, "/a", name)
        error = self.assertRaises(LookupError, self.set, "/a", "none")
        self.assertIn("asf, best-route, multicast", str(error))

    def test_wrongParametersAreRefused(self) -> None:
        for name in (
            "best-route/x~1",
            "multicast/x",
            "asf/x~1",
            "asf/probing-interval",
            "asf/probing-interval~x",
            "asf/probing-interval~-1",
            "asf/probing-interval~10",
            "asf/max-timeouts~0",
            "asf/measurements-lifetime~2000",
            "asf/probing-interval~99999999999",
            "asf/probing-interval~\N{SUPERSCRIPT TWO}000",
        ):
            with self.assertRaises(ValueError, msg=name):
                self.set("/a", name)
        self.assertIs(self.strategy("/a"), BestRoute)

    def test_eachPrefixHasAStrategyOfItsOwn(self) -> None:
        first = self.choice.set(value("/a"), self.choice.named("asf"))
        second = self.choice.set(value("/b"), self.choice.named("asf"))
        self.assertIsNot(first.strategy, second.strategy)

    def test_theSameChoiceOnceMoreForgetsNothing(self) -> None:
        first = self.choice.set(value("/a"), self.choice.named("asf"))
        again = self.choice.set(value("/a"), Name.fromText("/localhost/nfd/strategy/asf"))
        other = self.choice.set(value("/a"), self.choice.named("asf/max-timeouts~9"))
        self.assertIs(again, first)
        self.assertIsNot(other, first)

    def test_whatAStrategyDoesNotOverrideIsNotCalled(self) -> None:
        chosen = self.choice.set(value("/a"), self.choice.named("best-route"))
        self.assertIsNone(chosen.beforeSatisfy)
        self.assertIsNone(chosen.onTimeout)
        chosen = self.choice.set(value("/a"), self.choice.named("asf"))
        self.assertIsNotNone(chosen.beforeSatisfy)


class CheckTests(SynchronousTestCase):
    """
    L{checkStrategy}.
    """

    def test_whatCanBeChosenIsRight(self) -> None:
        for text in ("asf", "asf/max-timeouts~2", "/localhost/nfd/strategy/multicast", "best-route"):
            checkStrategy(text)

    def test_whatCanNotIsWrong(self) -> None:
        for text in ("asff", "/localhost/nfd/strategy/asf/v=4", "/x"):
            self.assertRaises(LookupError, checkStrategy, text)
        for text in ("asf/max-timeouts~0", "best-route/x", "/a//b"):
            self.assertRaises(ValueError, checkStrategy, text)


class Own(Strategy):
    """
    An extension's strategy: the most expensive next hop.
    """

    def __init__(self, forwarder: Actions, calls: list[str]) -> None:
        super().__init__(forwarder)
        self.calls = calls

    def afterInterest(self, port: Port, view: InterestView, entry: PITEntry) -> None:
        found = self.forwarder.lookup(entry)
        if found is not None:
            self.forwarder.sendInterest(entry, found.hops[-1].port, view, port)

    def onTimeout(self, entry: PITEntry) -> None:
        self.calls.append("timeout")

    def onLost(self, port: Port, view: InterestView, entry: PITEntry) -> None:
        self.calls.append(f"lost {port.id}")


@implementer(IPlugin, IStrategyType)
class OwnType:
    """
    How it is found.
    """

    type = "own"
    name = "/example/strategy"
    version = 1

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def strategy(self, forwarder: Actions, parameters: Sequence[bytes] = ()) -> IStrategy:
        return Own(forwarder, self.calls)


class ExtensionTests(ForwardingCase):
    """
    A strategy that Hermes does not come with.
    """

    calls: ClassVar[list[str]] = []
    options: ClassVar[dict[str, Any]] = {"strategyTypes": [BestRouteType(), OwnType(calls)]}

    def test_itDecides(self) -> None:
        self.calls.clear()
        consumer, cheap, dear = self.face(), self.face(), self.face()
        self.route("/a", cheap, dear)
        self.forwarder.strategies.set(value("/a"), Name.fromText("/example/strategy/v=1"))
        consumer.express(interest("/a/x"))
        self.assertEqual((len(cheap.sent), len(dear.sent)), (0, 1))
        self.forwarder.interestLost(dear, dear.sent[0].view)
        self.pass_(4.1)
        self.assertEqual(self.calls, ["lost 258", "timeout"])
        self.assertIdle()

    def test_whatIsPendingStaysWithTheStrategyThatItBeganWith(self) -> None:
        self.calls.clear()
        consumer, cheap, dear = self.face(), self.face(), self.face()
        self.route("/a", cheap, dear)
        consumer.express(interest("/a/x"))
        self.forwarder.strategies.set(value("/a"), Name.fromText("/example/strategy"))
        self.pass_(4.1)
        self.assertEqual((self.calls, len(cheap.sent)), ([], 1))
