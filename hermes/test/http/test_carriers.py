from __future__ import annotations

from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.fabric.paths import Onward
from hermes.fabric.router import Route, Router
from hermes.http.plans import Plans
from hermes.interfaces import IDialer, IRequestSender, IRequestUpstream
from hermes.matching import Match
from hermes.messages import Request, Response
from hermes.test.fabric.fakedialer import FakeDialer, FakeHop
from hermes.test.http.upstreams import FLOW, aRequest


@implementer(IRequestSender)
class Sender:
    """
    Is never asked.
    """

    def send(self, request: Request) -> Deferred[Response]:
        raise AssertionError("nothing is sent")


@implementer(IRequestUpstream)
@define(eq=False)
class Upstream:
    """
    Writes down what it is to be reached through.
    """

    carriers: list[Any] = field(factory=list)

    def sender(self, carrier: IDialer | None = None) -> IRequestSender:
        self.carriers.append(carrier)
        return Sender()


class Carriers(SynchronousTestCase):
    """
    What requests and flows to an upstream behind hops are carried by.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.hops: dict[str, Any] = {name: FakeHop(name, FakeDialer(self.clock)) for name in ("r1", "r2")}
        self.upstream = Upstream()

    def test_routesThatGoTheSameWayShareOne(self) -> None:
        routes = [
            Route(Match.fromTexts(listeners=[name]), name=name, to="web", via=via)
            for name, via in (("a", ("r1", "r2")), ("b", ("r1", "r2")), ("c", ("r1",)), ("d", ()))
        ]
        upstreams = {"web": self.upstream, **self.hops}
        unused: Any = None
        plans = Plans(Router(routes), upstreams, {}, unused, unused, self.clock)
        for listener in "abcd":
            plans.decide(aRequest(flow=evolve(FLOW, listener=listener)))
        one, same, other, straight = self.upstream.carriers
        self.assertIs(one, same)
        self.assertIs(self.hops["r1"].dialer, other)
        self.assertIsNone(straight)

    def test_eachOfTheirStreamsIsToldWhatIsLeftOfTheWay(self) -> None:
        carrier = Onward(self.hops["r1"].dialer, ("r2",))
        protocol: Any = None
        self.hops["r1"].dialer.hold = True
        carrier.connectStream(FLOW, protocol)
        self.assertEqual(("r2",), self.hops["r1"].dialer.flows[0].via)
