"""
What is done to the requests of a route on their way, and in which order.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.errors import NoRoute, RequestBroken, TargetRefused
from hermes.fabric.router import Route
from hermes.http.actions import HeaderChanges, Mirror, Redirect, RequestActions, Respond, Rewrite
from hermes.http.changing import Changing, OwnAnswers
from hermes.http.hops import HopSender
from hermes.http.mirror import COPY_TIME
from hermes.http.plans import SplitSender, TimedSender
from hermes.http.reliable import Delivery, Reliable
from hermes.http.retry import REASONS, RetryPolicy
from hermes.http.texts import Text
from hermes.http.tries import DeadlineExceeded
from hermes.interfaces import IAssistant, IRequestSender, Send
from hermes.matching import Match
from hermes.messages import BytesBody, Request, Response
from hermes.test.http.handling import Passing
from hermes.test.http.upstreams import Taken
from hermes.test.http.versions import OwnBody
from hermes.test.http.ways import Planning, Sender
from hermes.values import RequestHead, ResponseHead

ANY = Match()


@implementer(IAssistant)
class Noting(Passing):
    """
    Notes what passes, both ways.
    """

    def __init__(self, name: str, notes: list[Any]) -> None:
        self.name = name
        self.notes = notes
        self.raises: Exception | None = None

    def assist(self, request: Request, onward: Send) -> Deferred[Response]:
        self.notes.append((self.name, request.head.path, request.head.get(b"x-set")))
        if self.raises is not None:
            raise self.raises
        return onward(request).addCallback(self._back)

    def _back(self, response: Response) -> Response:
        self.notes.append((self.name, response.head.get(b"x-set")))
        return response


def changes(value: str) -> HeaderChanges:
    """
    A field that is set.
    """
    return HeaderChanges(set=((b"x-set", Text(value)),))


class ActionTests(Planning):
    def plans_(self, **actions: Any) -> Sender:
        """
        One route to C{web} that does this.
        """
        self.plan(
            Route(Match.fromTexts(paths=["/users/{id}/x", "/"]), "it", to="web", actions=RequestActions(**actions))
        )
        return self.web.sender()  # type: ignore[return-value]

    def test_theyAreSenders(self) -> None:
        sender = Sender()
        client: Any = self.a.dialer
        reliable = Reliable(sender, Delivery(), self.clock, self.random)
        split: Any = None
        for each in (
            *(SplitSender({}, {}, split), TimedSender(sender, reliable), HopSender(client, (), self.clock)),
            *(Changing(sender.send, RequestActions(), ANY), OwnAnswers(RequestActions(), ANY)),
        ):
            verifyObject(IRequestSender, each)
        verifyObject(IAssistant, Noting("", []))

    # Several ways

    def test_aSplitSendsEachRequestOneWay(self) -> None:
        self.plan(Route(ANY, "it", actions=RequestActions(split=(("web", 3), ("a", 1)))))
        for value, upstream, hops in ((0.0, "web", ()), (0.74, "web", ()), (0.76, "a", ("a",)), (0.99, "a", ("a",))):
            self.random.value = value
            request = self.request()
            plan, _ = self.send(request)
            self.assertEqual((plan.upstream, plan.hops), ("", ()))
            self.assertEqual((request.record.upstream, request.record.hops), (upstream, hops))
        self.assertEqual((len(self.web.senders[None].sent), len(self.a.dialer.exchanges)), (2, 2))

    def test_whatIsSentAgainGoesTheSameWay(self) -> None:
        delivery = Delivery(RetryPolicy(REASONS, tries=3))
        self.plan(Route(ANY, "it", actions=RequestActions(split=(("web", 1), ("other", 1)), delivery=delivery)))
        web, other = (each.sender() for each in (self.web, self.other))
        assert isinstance(web, Sender) and isinstance(other, Sender)
        web.fates = [TargetRefused("no"), TargetRefused("no")]
        _, sent = self.send()
        self.random.value = 0.99
        self.clock.pump([10, 10])
        self.successResultOf(sent)
        self.assertEqual((len(web.sent), len(other.sent)), (3, 0))

    def test_soDoesWhetherItMay(self) -> None:
        delivery = Delivery(RetryPolicy(REASONS, tries=3))
        self.plan(Route(ANY, "it", actions=RequestActions(split=(("web", 1), ("other", 1)), delivery=delivery)))
        web = self.web.sender()
        assert isinstance(web, Sender)
        web.fates, self.web.bears = [TargetRefused("no")], False
        _, sent = self.send()
        self.clock.pump([10, 10])
        self.failureResultOf(sent, TargetRefused)
        self.assertEqual(len(web.sent), 1)

    def test_aCopyGoesElsewhereToo(self) -> None:
        sender = self.plans_(mirror=Mirror("other"))
        plan, sent = self.send()
        self.assertEqual(self.successResultOf(sent).head.status, 200)
        self.assertEqual(plan.upstream, "web")
        self.assertEqual((len(sender.sent), len(self.other.senders[None].sent)), (1, 1))

    def test_aCopyThatNobodyAnswersIsGivenUp(self) -> None:
        self.plans_(mirror=Mirror("other"))
        given: list[Deferred[Response]] = []
        waiting: Deferred[Response] = Deferred(given.append)
        copies = self.other.senders[None] = Sender()
        copies.fates = [waiting]
        _, sent = self.send()
        self.successResultOf(sent)
        self.assertEqual((len(copies.sent), given), (1, []))
        self.clock.advance(COPY_TIME)
        self.assertEqual(given, [waiting])

    # Answers of our own

    def test_aRedirectGoesNowhere(self) -> None:
        sender = self.plans_(redirect=Redirect(path=Text("/to/{id}"), status=308))
        body = OwnBody()
        plan, sent = self.send(head=RequestHead(b"POST", b"http", b"web.example", b"/users/7/x"), body=body)
        response = self.successResultOf(sent)
        self.assertEqual((response.head.status, response.head.get(b"location")), (308, b"http://web.example/to/7"))
        self.assertEqual((plan.upstream, sender.sent, body.stopped), ("", [], 1))

    def test_norDoesAFixedAnswer(self) -> None:
        sender = self.plans_(respond=Respond(418, b"short", ((b"x-pot", b"tea"),)))
        body = OwnBody()
        _, sent = self.send(head=RequestHead(b"POST", b"http", b"web.example", b"/"), body=body)
        response = self.successResultOf(sent)
        assert response.body is not None
        response.body.start(taken := Taken())
        self.assertEqual((response.head.status, taken.data), (418, b"short"))
        self.assertEqual((sender.sent, body.stopped), ([], 1))
        _, sent = self.send(head=RequestHead(b"HEAD", b"http", b"web.example", b"/"))
        response = self.successResultOf(sent)
        self.assertEqual((response.head.get(b"content-length"), response.body), (b"5", None))

    # In which order

    def test_assistingComponentsSeeWhatIsSentAndTheClientWhatIsChanged(self) -> None:
        notes: list[Any] = []
        self.assistants = {name: Noting(name, notes) for name in ("one", "two")}
        sender = self.plans_(
            assist=("one", "two"),
            rewrite=Rewrite(path=Text("/new/{id}")),
            headers=changes("asked"),
            responseHeaders=changes("answered"),
        )
        _, sent = self.send(head=RequestHead(b"GET", b"http", b"web.example", b"/users/7/x?q=1"))
        self.assertEqual(
            notes, [("one", b"/new/7?q=1", b"asked"), ("two", b"/new/7?q=1", b"asked"), ("two", None), ("one", None)]
        )
        self.assertEqual(self.successResultOf(sent).head.get(b"x-set"), b"answered")
        self.assertEqual(sender.sent[0].head.path, b"/new/7?q=1")

    def test_whatAnAssistingComponentRaisesIsAFailure(self) -> None:
        for kind in (NoRoute("no"), ZeroDivisionError()):
            noting = Noting("one", [])
            noting.raises = kind
            self.assistants = {"one": Passing(), "two": noting}
            sender = self.plans_(assist=("one", "two"))
            _, sent = self.send()
            self.failureResultOf(sent, type(kind))
            self.assertEqual(sender.sent, [])

    def test_retriesAreBehindThem(self) -> None:
        notes: list[Any] = []
        self.assistants = {"one": Noting("one", notes)}
        sender = self.plans_(assist=("one",), delivery=Delivery(RetryPolicy(REASONS, tries=3)))
        sender.fates = [TargetRefused("no"), TargetRefused("no")]
        _, sent = self.send()
        self.clock.pump([10, 10])
        self.assertEqual(self.successResultOf(sent).head.status, 200)
        self.assertEqual((len(sender.sent), len(notes)), (3, 2))

    def test_copiesAreBeforeRetries(self) -> None:
        sender = self.plans_(mirror=Mirror("other"), delivery=Delivery(RetryPolicy(REASONS, tries=3)))
        sender.fates = [TargetRefused("no"), TargetRefused("no")]
        _, sent = self.send()
        self.clock.pump([10, 10])
        self.successResultOf(sent)
        self.assertEqual((len(sender.sent), len(self.other.senders[None].sent)), (3, 1))

    def test_anUpstreamThatBearsNoRetryGetsNone(self) -> None:
        sender = self.plans_(delivery=Delivery(RetryPolicy(REASONS, tries=3)))
        self.web.bears = False
        sender.fates = [TargetRefused("no")]
        _, sent = self.send()
        self.clock.pump([10, 10])
        self.failureResultOf(sent, TargetRefused)
        self.assertEqual(len(sender.sent), 1)


class TimedTests(Planning):
    """
    The deadline that a request brings along.
    """

    def setUp(self) -> None:
        super().setUp()
        self.plan(Route(ANY, to="web"))
        self.sender: Any = self.web.sender()

    def test_withoutOneNothingIsTimed(self) -> None:
        self.sender.fates = [Deferred()]
        request = self.request()
        _, sent = self.send(request)
        self.assertIs(self.sender.sent[0], request)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertNoResult(sent)

    def test_theAnswerMustComeBeforeIt(self) -> None:
        for actions in (None, RequestActions(headers=changes("x"))):
            self.plan(Route(ANY, to="web", actions=actions))
            cancelled: list[object] = []
            self.sender.fates = [Deferred(cancelled.append)]
            _, sent = self.send(deadline=self.clock.seconds() + 5)
            self.clock.advance(4.5)
            self.assertNoResult(sent)
            self.clock.advance(0.5)
            self.failureResultOf(sent, DeadlineExceeded)
            self.assertEqual(len(cancelled), 1)

    def test_soMustItsEnd(self) -> None:
        body = OwnBody()
        waiting: Deferred[Response] = Deferred()
        self.sender.fates = [waiting]
        _, sent = self.send(deadline=self.clock.seconds() + 5)
        waiting.callback(Response(ResponseHead(200), body))
        timed = self.successResultOf(sent).body
        assert timed is not None
        timed.start(taken := Taken())
        body.sink.dataReceived(b"half")
        self.clock.advance(5)
        self.assertEqual((taken.data, taken.ended.type, body.stopped), (b"half", DeadlineExceeded, 1))

    def test_whatIsLateAlreadyIsNotSent(self) -> None:
        _, sent = self.send(deadline=self.clock.seconds())
        self.failureResultOf(sent, DeadlineExceeded)
        self.assertEqual(self.sender.sent, [])

    def test_whatComesInTimeLeavesNothing(self) -> None:
        self.sender.fates = []
        _, sent = self.send(deadline=self.clock.seconds() + 5)
        self.assertEqual(self.successResultOf(sent).head.status, 200)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class HopTests(Planning):
    """
    What a node is told, and what it tells.
    """

    def sent(self, request: Request, via: tuple[str, ...] = ()) -> Deferred[Response]:
        """
        Sent to a node.
        """
        client: Any = self.a.dialer
        return HopSender(client, via, self.clock).send(request)

    def told(self) -> list[tuple[bytes, bytes]]:
        """
        What the node was told of the last request.
        """
        return [pair for pair in self.a.dialer.heads[-1].headers if pair[0].startswith(b"hermes-")]

    def answer(self, status: int, *fields: tuple[bytes, bytes]) -> None:
        self.a.dialer.exchanges[-1][1].respond(ResponseHead(status, fields), end=True)
        self.a.dialer.network.pump()

    def test_whoHasNothingToSaySaysNothing(self) -> None:
        self.sent(self.request())
        self.assertEqual(self.told(), [])

    def test_theNodeIsToldWhatIsLeft(self) -> None:
        self.clock.advance(100)
        self.sent(self.request(deadline=102.5, retriesLeft=3, name=b"abc"), ("b", "c"))
        self.assertEqual(
            self.told(),
            [
                *((b"hermes-via", b'"b", "c"'), (b"hermes-deadline", b"2500")),
                *((b"hermes-retries", b"3"), (b"hermes-request", b"abc")),
            ],
        )

    def test_aRequestThatIsSentAgainIsTheSame(self) -> None:
        request = self.request(deadline=5.0)
        before = request.head
        for _ in range(2):
            self.sent(request, ("b",))
            self.assertEqual(self.told(), [(b"hermes-via", b'"b"'), (b"hermes-deadline", b"5000")])
        self.assertEqual(request.head, before)

    def test_whatItHasSpentIsTaken(self) -> None:
        request = self.request(retriesLeft=3)
        sent = self.sent(request)
        self.answer(200, (b"hermes-retries-spent", b"2"), (b"x", b"y"))
        self.assertEqual(self.successResultOf(sent).head.headers, ((b"x", b"y"),))
        self.assertEqual(request.record.spent, 2)

    def test_withItAllThatItHadIsLost(self) -> None:
        request = self.request(retriesLeft=3)
        sent = self.sent(request)
        self.a.dialer.exchanges[-1][1].reset(2)
        self.a.dialer.network.pump()
        self.failureResultOf(sent, RequestBroken)
        self.assertEqual(request.record.spent, 3)

    def test_aBodyIsSentWithIt(self) -> None:
        request = self.request(RequestHead(b"POST", b"http", b"a", b"/"), body=BytesBody(b"question"), retriesLeft=1)
        self.sent(request)
        self.assertEqual(request.record.bytesIn, 8)
