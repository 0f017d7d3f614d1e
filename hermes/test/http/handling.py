"""
A request handler before whatever a test puts behind it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.http.handler import RequestHandler
from hermes.http.plans import Plan
from hermes.interfaces import IAssistant, IIdentifyingAssistant, IRequestObserver, Send
from hermes.messages import Request, RequestRecord, Response
from hermes.testing import MemoryClientExchange, MemoryNetwork, MemoryServerExchange
from hermes.users import Users, UserSecret
from hermes.values import Headers, Identity, RequestHead, ResponseHead

Pair = tuple[MemoryClientExchange, MemoryServerExchange]


def basic(credential: bytes) -> Headers:
    """
    The field that proves who asks.
    """
    return ((b"proxy-authorization", b"Basic " + b64encode(credential)),)


class FakePlans:
    """
    Keeps the requests, and who waits for their answers.

    @ivar assistants: by name.
    """

    def __init__(self, assistants: Mapping[str, IAssistant] | None = None) -> None:
        self.assistants = assistants or {}
        self.requests: list[Request] = []
        self.waiting: list[Deferred[Response]] = []

    def decide(self, request: Request) -> Plan:
        """
        All go the same way.
        """
        return Plan(self._send, "all", "web", ("relay",))

    def _send(self, request: Request) -> Deferred[Response]:
        self.requests.append(request)
        self.waiting.append(Deferred())
        return self.waiting[-1]


@implementer(IRequestObserver)
class Listener:
    """
    Keeps what it hears.

    @ivar broken: whether it fails each time.
    """

    def __init__(self, broken: bool = False) -> None:
        self.heard: list[tuple[str, RequestRecord]] = []
        self.broken = broken

    def _hear(self, what: str, record: RequestRecord) -> None:
        self.heard.append((what, record))
        if self.broken:
            raise ZeroDivisionError

    def requestStarted(self, record: RequestRecord) -> None:
        self._hear("started", record)

    def requestEnded(self, record: RequestRecord) -> None:
        self._hear("ended", record)


@implementer(IAssistant)
class Passing:
    """
    Passes everything on.
    """

    def assist(self, request: Request, onward: Send) -> Deferred[Response]:
        return onward(request)

    def status(self) -> Mapping[str, Any]:
        return {}

    def close(self) -> Deferred[None]:
        raise AssertionError("not here")


@implementer(IIdentifyingAssistant)
class Naming(Passing):
    """
    Says who asks.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    def assist(self, request: Request, onward: Send) -> Deferred[Response]:
        request.flow = request.record.flow = evolve(request.flow, identity=self.identity)
        return onward(request)


class Handling(SynchronousTestCase):
    """
    A handler, and exchanges in memory that are handed to it.
    """

    maxRequests = 100

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.network = MemoryNetwork()
        self.plans = FakePlans()
        self.users = Users({"alice": UserSecret(password="secret")})
        self.observers = [Listener(), Listener()]
        plans: Any = self.plans
        self.requests = RequestHandler(plans, self.users, self.observers, self.clock, "edge", self.maxRequests)
        self.handler: Any = self.requests.listener("apps")

    def ask(
        self,
        headers: Headers = (),
        method: bytes = b"GET",
        authority: bytes = b"web.example",
        scheme: bytes = b"http",
        path: bytes = b"/",
        protocol: bytes | None = None,
        ended: bool = True,
        **options: Any,
    ) -> Pair:
        """
        A client asks.
        """
        head = RequestHead(method, scheme, authority, path, protocol, headers)
        client, server = self.network.pair(head, **options)
        server.bodyless = ended
        self.handler.exchangeReceived(server)
        return client, server

    def status(self, pair: Pair) -> int:
        """
        Of the answer.
        """
        return pair[1].responses[-1].status

    def answer(self, number: int = -1, status: int = 204) -> None:
        """
        A request is answered.
        """
        self.plans.waiting[number].callback(Response(ResponseHead(status)))

    @property
    def request(self) -> Request:
        """
        The newest that was sent on.
        """
        return self.plans.requests[-1]

    @property
    def ended(self) -> list[RequestRecord]:
        """
        The records of what has ended, as each observer has heard it.
        """
        heard = [[record for what, record in each.heard if what == "ended"] for each in self.observers]
        self.assertEqual(heard[0], heard[1])
        return heard[0]
