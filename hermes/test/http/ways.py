"""
Hops and upstreams that keep what is sent to them.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.fabric.router import Route, Router
from hermes.http.plans import Plan, Plans
from hermes.interfaces import IDialer, IHop, IRequestSender, IRequestUpstream
from hermes.messages import Request, Response
from hermes.test.http.upstreams import GET, aRequest
from hermes.test.http1.memory import Handler
from hermes.testing import MemoryExchangeClient, MemoryNetwork
from hermes.values import Flow, Identity, RequestHead, ResponseHead, Target


@implementer(IRequestSender)
class Sender:
    """
    Answers everything.

    @ivar sent: what it was sent.
    @ivar fates: what becomes of the next requests: an error, or a response that is to come. After them, 200.
    """

    def __init__(self) -> None:
        self.sent: list[Request] = []
        self.fates: list[Exception | Deferred[Response]] = []

    def send(self, request: Request) -> Deferred[Response]:
        self.sent.append(request)
        fate = self.fates.pop(0) if self.fates else None
        if isinstance(fate, Exception):
            return fail(fate)
        return succeed(Response(ResponseHead(200))) if fate is None else fate


@implementer(IRequestUpstream)
class Upstream:
    """
    Has a sender for each carrier.
    """

    def __init__(self) -> None:
        self.senders: dict[Any, Sender] = {}
        self.bears = True

    def sender(self, carrier: IDialer | None = None) -> IRequestSender:
        return self.senders.setdefault(carrier, Sender())

    def permit(self) -> Any:
        """
        Whether it bears a retry.
        """
        return (lambda: None) if self.bears else None


@implementer(IDialer)
class Dialer(MemoryExchangeClient):
    """
    Opens exchanges with a node.

    @ivar way: the names of the hops that it goes through, each inside the one before.
    """

    way: tuple[str, ...]

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        raise AssertionError("no streams here")

    def connectDatagrams(self, flow: Flow, receiver: Any) -> Deferred[Any]:
        raise AssertionError("no datagrams here")

    def connectPackets(self, flow: Flow, receiver: Any) -> Deferred[Any]:
        raise AssertionError("no packets here")

    @property
    def heads(self) -> list[RequestHead]:
        """
        What was sent.
        """
        return [ours.request for ours, _ in self.exchanges]


@implementer(IHop)
class Hop:
    """
    A node, or a proxy of another make.
    """

    def __init__(self, name: str, takesExchanges: bool = True) -> None:
        self.name = name
        self.takesExchanges = takesExchanges
        self.dialer = self._dialer(name)
        self.inside: dict[int, Dialer] = {}

    def _dialer(self, *way: str) -> Dialer:
        dialer = Dialer(MemoryNetwork(), Handler())
        dialer.way = way
        return dialer

    def through(self, dialer: Any) -> IDialer:
        return self.inside.setdefault(id(dialer), self._dialer(*dialer.way, self.name))

    def close(self) -> Deferred[None]:
        raise AssertionError("not here")


class Origins(Sender):
    """
    Sends requests to their own targets.
    """

    def __init__(self, dialer: Any) -> None:
        super().__init__()
        self.dialer = dialer


class Direct:
    """
    Connects to targets.
    """

    def __init__(self, special: bool) -> None:
        self.special = special


class Chooser(Random):
    """
    Chooses as a test says.
    """

    value = 0.0

    def random(self) -> float:
        return self.value


class Planning(SynchronousTestCase):
    """
    Routes and what they name.

    @ivar origins: whatever was made to send requests to their own targets.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.random = Chooser()
        self.origins: list[Origins] = []
        self.web, self.other = Upstream(), Upstream()
        self.a, self.b, self.c = Hop("a"), Hop("b"), Hop("c")
        self.foreign = Hop("foreign", takesExchanges=False)
        self.upstreams: dict[str, Any] = {
            "web": self.web,
            "other": self.other,
            "stream": object(),
            "a": self.a,
            "b": self.b,
            "c": self.c,
            "foreign": self.foreign,
        }
        self.assistants: dict[str, Any] = {}

    def plan(self, *routes: Route) -> Plans:
        """
        Plans for these routes.
        """
        direct: Any = Direct
        self.plans = Plans(
            Router(routes), self.upstreams, self.assistants, direct, self._origin, self.clock, self.random
        )
        return self.plans

    def _origin(self, dialer: IDialer) -> IRequestSender:
        self.origins.append(Origins(dialer))
        return self.origins[-1]

    def request(
        self, head: RequestHead = GET, identity: Identity | None = None, via: tuple[str, ...] = (), **options: Any
    ) -> Request:
        """
        A request, of a node's where there is a C{via}.
        """
        named = identity or (Identity(node="before") if via else Identity(user="alice"))
        target = options.pop("target", Target("web.example", 80))
        return aRequest(head, Flow("http", target, ("192.0.2.1", 4000), named, "web", via), **options)

    def send(self, request: Request | None = None, **options: Any) -> tuple[Plan, Deferred[Response]]:
        """
        A request is sent as is planned.
        """
        asked = request or self.request(**options)
        plan = self.plans.decide(asked)
        return plan, plan.send(asked)
