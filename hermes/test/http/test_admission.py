"""
Tunnels and SOCKS flows pass their listener's assisting components, and are opened as those have said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.assist.limits import Limits, LimitsOptions
from hermes.assist.refusals import Denied
from hermes.assist.rules import Rule, Rules
from hermes.errors import FlowError, NoRoute
from hermes.fabric.admitted import AdmittedFlows
from hermes.http.admission import Admission, NotAdmitted
from hermes.http.chain import ListenerChain, UnknownAssistant, chain
from hermes.http.fields import Heads
from hermes.interfaces import IAdmission, IAssistant, IFlowHandler, IIdentifyingAssistant
from hermes.matching import Match
from hermes.messages import Request, Response, textResponse
from hermes.test.assist.asking import Behind, request
from hermes.test.tunnel.fakes import Authenticator, Flows
from hermes.testing import MemoryClientExchange, MemoryNetwork, MemoryServerExchange
from hermes.tunnel.request import connectHead, connectTCPHead, connectUDPHead, listenHead
from hermes.tunnel.server import TunnelHandler
from hermes.values import ANONYMOUS, Flow, Identity, RequestHead, ResponseHead, Target

TARGET = Target("db.hermes", 3306)
SOURCE = ("192.0.2.1", 4000)
Onward = Callable[[Request], Deferred[Response]]


@implementer(IAssistant)
@define(eq=False)
class Does:
    """
    Does what a test says.
    """

    what: Callable[[Request, Onward], Deferred[Response]]
    asked: list[Request] = field(factory=list)

    def assist(self, request: Request, onward: Onward) -> Deferred[Response]:
        self.asked.append(request)
        return self.what(request, onward)

    def status(self) -> Mapping[str, Any]:
        return {}

    def close(self) -> Deferred[None]:
        return succeed(None)


@implementer(IIdentifyingAssistant)
class Names(Does):
    """
    Names whoever asks after their C{authorization}.
    """

    def __init__(self) -> None:
        super().__init__(self._name)

    def _name(self, request: Request, onward: Onward) -> Deferred[Response]:
        name = b"authorization" if request.gateway else b"proxy-authorization"
        user = request.record.head.get(name)
        if user is None:
            challenge = (b"www-authenticate" if request.gateway else b"proxy-authenticate", b"Test")
            return succeed(textResponse(401 if request.gateway else 407, "who are you?\n", (challenge,)))
        identity = Identity(request.flow.identity.node, user.decode())
        request.flow = evolve(request.flow, identity=identity)
        return onward(request)


def passes(request: Request, onward: Onward) -> Deferred[Response]:
    return onward(request)


@define(eq=False)
class Generation:
    """
    Has assisting components.
    """

    assistants: dict[str, Any]


class Body(Protocol):
    """
    Collects a body.
    """

    def __init__(self) -> None:
        self.data = b""

    def dataReceived(self, data: bytes) -> None:
        self.data += data


class AdmissionCase(SynchronousTestCase):
    """
    A tunnel handler whose listener has assisting components.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork()
        self.flows = Flows()
        self.lost: list[Failure] = []

    def admission(self, *assistants: Any) -> Admission:
        names = [str(number) for number in range(len(assistants))]
        self.generation = Generation(dict(zip(names, assistants, strict=True)))
        heads = Heads(b"edge", self.clock.seconds, b"")
        return Admission(ListenerChain("overlay", names, lambda: self.generation), heads, self.clock)

    def handler(self, *assistants: Any, anonymous: bool = True) -> TunnelHandler:
        users = Authenticator({b"Basic YTpi": "alice"})
        return TunnelHandler(
            self.flows,
            users,
            self.clock,
            "edge",
            "overlay",
            anonymous,
            admission=self.admission(*assistants),
        )

    def ask(
        self, handler: TunnelHandler, head: RequestHead, identity: Identity = ANONYMOUS, *headers: tuple[bytes, bytes]
    ) -> tuple[MemoryClientExchange, MemoryServerExchange, Body]:
        asked = evolve(head, headers=(*head.headers, *headers))
        client, server = self.network.pair(asked, identity)
        client.attach(body := Body())
        handler.exchangeReceived(server)
        self.network.pump()
        return client, server, body

    def statusOf(self, handler: TunnelHandler, *headers: tuple[bytes, bytes]) -> int | None:
        _, server, _ = self.ask(handler, connectHead(TARGET), ANONYMOUS, *headers)
        return server.responses[-1].status if server.responses else None


class TunnelTests(AdmissionCase):
    """
    Tunnels.
    """

    def test_itIsAnAdmission(self) -> None:
        verifyObject(IAdmission, self.admission())

    def test_aTunnelIsARequestThatHasNoBody(self) -> None:
        does = Does(passes)
        handler = self.handler(does)
        for head, protocol, method in (
            (connectHead(TARGET), "tcp", None),
            (connectTCPHead(TARGET, b"proxy.example"), "tcp", b"connect-tcp"),
            (connectUDPHead(TARGET, b"proxy.example"), "udp", b"connect-udp"),
        ):
            self.ask(handler, head, Identity("n"), (b"x-a", b"1"), (b"hermes-deadline", b"5"))
            asked = does.asked.pop()
            self.assertEqual(asked.flow, Flow(protocol, TARGET, SOURCE, Identity("n"), "overlay"))
            self.assertEqual((asked.head.method, asked.head.protocol, asked.body), (b"CONNECT", method, None))
            self.assertEqual((asked.head.get(b"x-a"), asked.head.get(b"hermes-deadline")), (b"1", None))
            self.assertIs(asked.gateway, method is not None)
            self.assertEqual(self.flows.flow, asked.flow)

    def test_itIsOpenedForWhomTheyHaveNamed(self) -> None:
        handler = self.handler(Names(), anonymous=False)
        client, server, _ = self.ask(handler, connectHead(TARGET), Identity("n"), (b"proxy-authorization", b"carol"))
        self.assertEqual(self.flows.flow, Flow("tcp", TARGET, SOURCE, Identity("n", "carol"), "overlay"))
        near = self.flows.stream()
        self.assertEqual(server.responses[-1].status, 200)
        client.write(b"hello")
        self.network.pump()
        self.assertEqual(near.received, b"hello")
        self.ask(handler, connectUDPHead(TARGET, b"p.example"), ANONYMOUS, (b"authorization", b"carol"))
        self.flows.datagrams()
        self.assertEqual(self.flows.flow.identity, Identity(user="carol"))

    def test_whereSomebodyElseNamesNoCredentialIsLookedAtBefore(self) -> None:
        credential = (b"proxy-authorization", b"unknown here")
        self.assertEqual(self.statusOf(self.handler(Does(passes)), credential), 407)
        self.assertIsNone(self.statusOf(self.handler(Does(passes), Names()), credential))
        self.assertEqual(self.flows.flow.identity.user, "unknown here")
        self.assertIsNone(self.statusOf(self.handler(Does(passes)), (b"proxy-authorization", b"Basic YTpi")))
        self.assertEqual(self.flows.flow.identity.user, "alice")

    def test_aListenerThatTakesNobodyAnonymousTakesNobodyTheyLeaveSo(self) -> None:
        @implementer(IIdentifyingAssistant)
        class Lenient(Does):
            pass

        self.assertEqual(self.statusOf(self.handler(Lenient(passes), anonymous=False)), 407)
        self.assertEqual(self.flows.opening, [])
        self.assertIsNone(self.statusOf(self.handler(Lenient(passes), anonymous=True)))

    def test_anotherResponseIsTheClients(self) -> None:
        handler = self.handler(Names())
        for head, status, name in (
            (connectHead(TARGET), 407, b"proxy-authenticate"),
            (connectUDPHead(TARGET, b"p.example"), 401, b"www-authenticate"),
        ):
            _, server, body = self.ask(handler, head)
            (response,) = server.responses
            self.assertEqual((response.status, response.get(name)), (status, b"Test"))
            self.assertEqual((response.get(b"content-length"), body.data), (b"13", b"who are you?\n"))
            self.assertIsNotNone(response.get(b"date"))
        self.assertEqual((self.flows.opening, handler.pending), ([], 0))

    def test_aResponseWithoutABodyIsEnoughToo(self) -> None:
        handler = self.handler(Does(lambda request, onward: succeed(Response(ResponseHead(403)))))
        _, server, body = self.ask(handler, connectHead(TARGET))
        self.assertEqual((server.responses[-1].status, body.data, handler.pending), (403, b"", 0))

    def test_anErrorIsToldAsOne(self) -> None:
        for raising in (False, True):

            def denies(request: Request, onward: Onward, raising: bool = raising) -> Deferred[Response]:
                if raising:
                    raise Denied("not for you")
                return fail(Denied("not for you"))

            handler = self.handler(Does(denies))
            _, server, body = self.ask(handler, connectHead(TARGET))
            self.assertEqual((server.responses[-1].status, body.data), (403, b"not for you\n"))
            self.assertIn(b"http_request_denied", server.responses[-1].get(b"proxy-status") or b"")
            self.assertEqual(handler.pending, 0)

    def test_aFailureBehindIsToldAsBefore(self) -> None:
        handler = self.handler(Does(passes))
        _, server, _ = self.ask(handler, connectHead(TARGET))
        self.flows.fail(NoRoute("no route"))
        self.network.pump()
        self.assertEqual(server.responses[-1].status, 403)

    def test_limitsAndRulesHoldForTunnels(self) -> None:
        limits = Limits("fair", LimitsOptions(rate=0.5, burst=2), self.clock, "edge")
        rules = Rules([Rule(Match.fromTexts(targets=["db.hermes:3306"], users=["alice"]), allow=True)])
        handler = self.handler(limits, rules)
        alice = (b"proxy-authorization", b"Basic YTpi")
        self.assertEqual([self.statusOf(handler), self.statusOf(handler, alice)], [403, None])
        _, server, _ = self.ask(handler, connectHead(TARGET), ANONYMOUS, alice)
        response = server.responses[-1]
        self.assertEqual((response.status, response.get(b"retry-after")), (429, b"2"))

    def test_whatTheyTakeTheirTimeForCanBeGivenUp(self) -> None:
        given: list[Deferred[Response]] = []
        cancelled: list[object] = []

        def waits(request: Request, onward: Onward) -> Deferred[Response]:
            given.append(Deferred(cancelled.append))
            return given[-1]

        handler = self.handler(Does(waits))
        client, server, _ = self.ask(handler, connectHead(TARGET))
        self.assertEqual((server.responses, handler.pending), ([], 1))
        client.reset(8)
        self.network.pump()
        self.assertEqual((len(cancelled), handler.pending, server.responses), (1, 0, []))
        _, server, _ = self.ask(handler, connectHead(TARGET))
        self.clock.advance(60)
        self.assertEqual((server.responses[-1].status, len(cancelled), handler.pending), (504, 2, 0))

    def test_100ContinueIsSaidOnlyToWhomIsAdmitted(self) -> None:
        expect = (b"expect", b"100-continue")
        handler = self.handler(Names())
        _, server, _ = self.ask(handler, connectHead(TARGET), ANONYMOUS, expect)
        self.assertEqual([each.status for each in server.responses], [407])
        _, server, _ = self.ask(handler, connectHead(TARGET), ANONYMOUS, expect, (b"proxy-authorization", b"x"))
        self.assertEqual([each.status for each in server.responses], [100])

    def test_nobodyAnswersATunnelInItsPlace(self) -> None:
        handler = self.handler(Does(lambda request, onward: succeed(textResponse(200, "from a cache"))))
        _, server, _ = self.ask(handler, connectHead(TARGET))
        self.assertEqual((server.responses[-1].status, self.flows.opening), (500, []))

    def test_whereItGoesIsNotForThemToSay(self) -> None:
        def elsewhere(request: Request, onward: Onward) -> Deferred[Response]:
            request.flow = Flow("tcp", Target("other.example", 1), None, Identity(user="eve"), "other", ("x",))
            return onward(request)

        self.statusOf(self.handler(Does(elsewhere)))
        self.assertEqual(self.flows.flow, Flow("tcp", TARGET, SOURCE, Identity(user="eve"), "overlay"))

    def test_listeningIsAskedAboutToo(self) -> None:
        listening: list[Flow] = []
        head = listenHead(Target("0.0.0.0", 80), b"p.example")
        handler = self.handler(Does(lambda request, onward: fail(Denied("no"))))
        handler.listening = lambda exchange, asked, flow: listening.append(flow)
        _, server, _ = self.ask(handler, head)
        self.assertEqual((server.responses[-1].status, listening), (403, []))
        handler = self.handler(Names())
        handler.listening = lambda exchange, asked, flow: listening.append(flow)
        _, server, _ = self.ask(handler, head, ANONYMOUS, (b"authorization", b"carol"))
        self.assertEqual((server.responses, listening[0].identity.user, listening[0].protocol), ([], "carol", "listen"))

    def test_listeningThatIsRefusedAfterwardsIsRefused(self) -> None:
        handler = self.handler(Does(passes))

        def refuses(exchange: Any, asked: Any, flow: Flow) -> None:
            raise NoRoute("not here")

        handler.listening = refuses
        _, server, _ = self.ask(handler, listenHead(Target("0.0.0.0", 80), b"p.example"))
        self.assertEqual(server.responses[-1].status, 403)


class FlowTests(AdmissionCase):
    """
    Flows that no exchange asks for: SOCKS.
    """

    def test_whatIsAdmittedIsOpened(self) -> None:
        does = Does(passes)
        flows = AdmittedFlows(self.flows, self.admission(does))
        verifyObject(IFlowHandler, flows)
        flow = Flow("tcp", Target("2001:db8::1", 5), SOURCE, Identity(user="alice"), "apps")
        self.assertNoResult(flows.openStream(flow))
        self.assertEqual(self.flows.flow, flow)
        self.assertEqual(does.asked[0].head, RequestHead(b"CONNECT", authority=b"[2001:db8::1]:5"))
        flows.openDatagrams(evolve(flow, protocol="udp"))
        self.assertEqual(self.flows.flow.protocol, "udp")
        self.assertRaises(NoRoute, flows.authorise, flow)

    def test_whatIsNotAdmittedIsNot(self) -> None:
        flow = Flow("tcp", TARGET, SOURCE)
        asking = AdmittedFlows(self.flows, self.admission(Names())).openStream(flow)
        failure = self.failureResultOf(asking, NotAdmitted)
        self.assertEqual((failure.value.status, failure.value.proxyStatus), (407, "http_request_denied"))
        denying = Does(lambda request, onward: fail(Denied("no")))
        self.failureResultOf(AdmittedFlows(self.flows, self.admission(denying)).openStream(flow), Denied)
        self.assertEqual(self.flows.opening, [])


class ChainTests(SynchronousTestCase):
    """
    L{chain} and L{ListenerChain}.
    """

    def test_theFirstIsOutermost(self) -> None:
        order: list[str] = []

        def named(name: str) -> Does:
            def does(request: Request, onward: Onward) -> Deferred[Response]:
                order.append(f"{name} before")
                return onward(request).addCallback(after)

            def after(response: Response) -> Response:
                order.append(f"{name} after")
                return response

            return Does(does)

        self.successResultOf(chain([named("a"), named("b")], Behind())(request()))
        self.assertEqual(order, ["a before", "b before", "b after", "a after"])

    def test_whatIsRaisedIsAFailure(self) -> None:
        def raises(request: Request) -> Deferred[Response]:
            raise NoRoute("no")

        heard: list[Failure] = []

        def hears(request: Request, onward: Onward) -> Deferred[Response]:
            asked = onward(request)
            asked.addErrback(heard.append)
            return asked.addCallback(lambda _: textResponse(200, ""))

        self.successResultOf(chain([Does(hears)], raises)(request()))
        self.assertTrue(heard[0].check(FlowError))

    def test_itFollowsTheConfiguration(self) -> None:
        now = [Generation({"a": Does(passes)})]
        chained = ListenerChain("apps", ["a"], lambda: now[-1])
        first = chained.current()
        self.assertIs(chained.current(), first)
        self.assertFalse(first.identifies)
        now.append(Generation({"a": Names()}))
        self.assertTrue(chained.current().identifies)
        now.append(Generation({}))
        self.assertRaises(UnknownAssistant, chained.current)
        self.assertFalse(ListenerChain("apps", (), lambda: now[-1]))
