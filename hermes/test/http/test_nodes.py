"""
Four nodes with all their parts, in memory, before an origin that always fails.
"""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.errors import FlowError, RequestBroken, StreamReset, TargetRefused
from hermes.fabric.router import Route, Router
from hermes.http.actions import RequestActions
from hermes.http.handler import RequestHandler
from hermes.http.plans import Plans
from hermes.http.reliable import Delivery
from hermes.http.resume import ResumePolicy
from hermes.http.retry import GATEWAY_ERRORS, REASONS, RetryPolicy
from hermes.interfaces import IDialer, IExchangeHandler, IHop, IRequestSender, IRequestUpstream
from hermes.matching import Match
from hermes.messages import Request, Response
from hermes.test.http.delivery import FakeBody, response
from hermes.test.http.forwarding import Body, Watching
from hermes.testing import MemoryExchangeClient, MemoryNetwork, MemoryServerExchange
from hermes.users import Users
from hermes.values import Headers, Identity, RequestHead, ResponseHead

NODES = 4

FATES: tuple[FlowError | ResponseHead, ...] = (TargetRefused("no"), RequestBroken("no"), ResponseHead(503))


@implementer(IRequestUpstream, IRequestSender)
class Origin:
    """
    Counts what reaches it, and fails.
    """

    def __init__(self) -> None:
        self.fate: FlowError | ResponseHead | None = None
        self.bodies: list[tuple[ResponseHead, FakeBody]] = []
        self.heads: list[RequestHead] = []

    def sender(self, carrier: IDialer | None = None) -> IRequestSender:
        return self

    def send(self, request: Request) -> Deferred[Response]:
        self.heads.append(request.head)
        fate = self.fate
        if self.bodies:
            return succeed(Response(*self.bodies.pop(0)))
        if isinstance(fate, FlowError):
            return fail(fate)
        return Deferred() if fate is None else succeed(response(fate.status, *fate.headers))


@implementer(IHop)
class MemoryHop:
    """
    A node as the one before it knows it.
    """

    takesExchanges = True

    def __init__(self, name: str, client: MemoryExchangeClient) -> None:
        self.name = name
        self.dialer = client

    def through(self, dialer: IDialer) -> IDialer:
        raise NotImplementedError

    def close(self) -> Deferred[None]:
        return succeed(None)


class Nodes(SynchronousTestCase):
    """
    The nodes, and whoever asks the first.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork()
        self.origin = Origin()

    def nodes(self, tries: int) -> None:
        """
        Each with the same policy; the first takes anybody's requests.
        """
        delivery = Delivery(RetryPolicy(REASONS, GATEWAY_ERRORS, tries), 60.0, ResumePolicy(tries))
        actions = RequestActions(delivery=delivery)
        self.links: list[MemoryExchangeClient] = []
        handler: IExchangeHandler | None = None
        for place in reversed(range(NODES)):
            if handler is None:
                route = Route(Match(), to="origin", name="all", actions=actions)
                upstreams: dict[str, object] = {"origin": self.origin}
            else:
                link = MemoryExchangeClient(self.network, handler, Identity(node=f"p{place}"))
                self.links.insert(0, link)
                route = Route(Match(), via=("next",), name="all", actions=actions)
                upstreams = {"next": MemoryHop(f"p{place + 1}", link)}
            plans = Plans(
                Router([route]),
                upstreams,
                {},
                lambda special: self.fail("nobody goes straight"),
                lambda dialer: self.fail("nobody goes straight"),
                self.clock,
                Random(place),
            )
            requests = RequestHandler(plans, Users({}), [Watching()], self.clock, f"p{place}")
            handler = requests.listener("in", anonymous=place == 0)
        assert handler is not None
        self.handler = handler

    def ask(self, method: bytes = b"GET", headers: Headers = (), body: bytes | None = None) -> MemoryServerExchange:
        """
        A client asks the first.
        """
        browser, server = self.network.pair(RequestHead(method, b"http", b"origin.example", b"/", None, headers))
        self.body = Body()
        browser.attach(self.body)
        server.bodyless = body is None
        browser.write(body or b"")
        browser.loseWriteConnection()
        self.handler.exchangeReceived(server)
        for _ in range(300):
            self.network.pump()
            self.clock.advance(0.1)
        return server


class NodesTests(Nodes):
    def test_theOriginSeesAsManyTriesAsThePolicySays(self) -> None:
        for fate in FATES:
            for tries in (1, 2, 3, 5):
                for body in (None, b"", b"some"):
                    self.setUp()
                    self.nodes(tries)
                    self.origin.fate = fate
                    server = self.ask(b"PUT", body=body)
                    self.assertEqual(len(self.origin.heads), tries, (fate, tries, body))
                    self.assertIn(server.responses[-1].status, (502, 503))

    def test_nothingOfOursIsSeenOutside(self) -> None:
        self.nodes(3)
        self.origin.fate = ResponseHead(503, ((b"hermes-retries-spent", b"0"), (b"x", b"1")))
        server = self.ask(headers=((b"hermes-retries", b"99"), (b"hermes-deadline", b"1"), (b"hermes-request", b"a")))
        self.assertEqual(len(self.origin.heads), 3)
        for headers in (*(head.headers for head in self.origin.heads), server.responses[-1].headers):
            self.assertEqual([name for name, _ in headers if name.startswith(b"hermes-")], [])

    def test_theDeadlineTravels(self) -> None:
        self.nodes(3)
        self.origin.fate = ResponseHead(200)
        self.ask()
        for link in self.links:
            _, server = link.exchanges[0]
            left = server.request.get(b"hermes-deadline")
            assert left is not None
            self.assertTrue(59_000 <= int(left) <= 60_000)
        self.assertEqual(
            [link.exchanges[0][1].request.get(b"hermes-retries") for link in self.links],
            [b"1", b"0", b"0"],
        )

    def test_noNodeOutlastsTheDeadline(self) -> None:
        self.nodes(3)
        server = self.ask()
        self.assertEqual(server.responses, [])
        for _ in range(320):
            self.clock.advance(0.1)
            self.network.pump()
        self.assertEqual(server.responses[-1].status, 504)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whatNeverReachedTheOriginIsTriedAgainWhateverItIs(self) -> None:
        self.nodes(3)
        self.origin.fate = TargetRefused("no")
        self.ask(b"POST")
        self.assertEqual(len(self.origin.heads), 3)
        self.setUp()
        self.nodes(3)
        self.origin.fate = RequestBroken("no")
        self.ask(b"POST")
        self.assertEqual(len(self.origin.heads), 1)


class BodyTests(Nodes):
    """
    Bodies that are cut short behind the last node.
    """

    ETAG = (b"etag", b'"a"')

    def begin(self, *second: tuple[bytes, bytes], status: int = 206) -> FakeBody:
        """
        A response of which half comes.

        @return: the body of what is answered then.
        """
        self.nodes(3)
        first, rest = FakeBody(), FakeBody()
        head = ResponseHead(200, (self.ETAG, (b"content-length", b"10")))
        self.origin.bodies = [(head, first), (ResponseHead(status, second), rest)]
        self.ask()
        first.give(b"01234")
        self.network.pump()
        first.fail(RequestBroken("cut"))
        for _ in range(20):
            self.clock.advance(0.1)
            self.network.pump()
        self.assertEqual((self.body.data, self.body.ended), (b"01234", False))
        return rest

    def test_theLastNodeAsksForTheRestAndNobodyElseSeesIt(self) -> None:
        rest = self.begin(self.ETAG, (b"content-range", b"bytes 5-9/10"))
        rest.give(b"56789")
        rest.end()
        self.network.pump()
        self.assertEqual((self.body.data, self.body.ended), (b"0123456789", True))
        self.assertEqual(self.origin.heads[1].get(b"range"), b"bytes=5-")
        self.assertEqual([len(link.exchanges) for link in self.links], [1, 1, 1])

    def test_anotherRepresentationEndsInAReset(self) -> None:
        other = (b"etag", b'"b"')
        # Each node finds it out for itself.
        self.origin.fate = ResponseHead(200, (other,))
        rest = self.begin(other, status=200)
        self.assertTrue(rest.stopped)
        self.assertEqual(len(self.origin.heads), 1 + NODES)
        self.assertFalse(self.body.ended)
        assert self.body.lost is not None
        self.assertIs(self.body.lost.type, StreamReset)
