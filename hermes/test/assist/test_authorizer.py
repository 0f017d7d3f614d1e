"""
What an authorizer says is done, and where it says nothing, nothing is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as theReactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface.verify import verifyObject

from hermes.assist.authorizer import Authorizer, AuthorizerOptions, AuthorizerType
from hermes.assist.fetching import Answer, FetchFailed
from hermes.assist.questions import AuthorizerFailed, PlainHTTP, PolicyAgent
from hermes.assist.refusals import Denied
from hermes.assist.verdicts import Questions, VerdictCache
from hermes.errors import Overloaded
from hermes.interfaces import IAssistant, IAssistantType
from hermes.messages import Request, Response
from hermes.net.authority import OverlayAuthority
from hermes.test.assist.asking import Behind, Source, fieldsOf, request, textOf
from hermes.test.assist.test_authentication import Context
from hermes.values import Headers, Identity

reactor: Any = theReactor


class Waits:
    """
    Answers when it is told to.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, Deferred[Answer]]] = []

    def __call__(self, method: bytes, url: str, headers: Headers = (), body: bytes = b"") -> Deferred[Answer]:
        answer: Deferred[Answer] = Deferred()
        self.asked.append((body, answer))
        return answer

    def finish(self) -> None:
        """
        Answer what still waits, and what then begins.
        """
        for _, answer in self.asked:
            if not answer.called:
                answer.callback(Answer(200, (), b"{}"))

    def answer(self, result: object, which: int = -1) -> None:
        """
        An answer of the Open Policy Agent's.
        """
        self.asked[which][1].callback(Answer(200, (), json.dumps({"result": result}).encode()))


class AuthorizerTests(SynchronousTestCase):
    """
    L{Authorizer}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.fetch = Waits()
        self.addCleanup(self.fetch.finish)
        self.behind = Behind()
        self.sets = frozenset({b"x-role"})

    def make(self, failOpen: bool = False, atOnce: int = 10, waiting: int = 10) -> Authorizer:
        agent = PolicyAgent(self.fetch, "http://opa/", ("user", "path"), (), self.sets)
        questions = Questions(VerdictCache(self.clock.seconds, 5.0, 10), atOnce, waiting)
        return Authorizer("opa", "edge", agent, questions, self.sets, failOpen)

    def test_itIsAnAssistantOfItsType(self) -> None:
        verifyObject(IAssistantType, AuthorizerType())
        verifyObject(IAssistant, self.make())

    def test_aRequestWaitsForTheAnswer(self) -> None:
        authorizer = self.make()
        asking = authorizer.assist(request(headers=((b"x-role", b"forged"), (b"x", b"1"))), self.behind)
        self.assertNoResult(asking)
        self.assertEqual(self.behind.passed, [])
        self.fetch.answer({"allow": True, "headers": {"x-role": "dev"}})
        self.assertEqual(self.successResultOf(asking).head.status, 200)
        self.assertEqual(self.behind.passed[0].head.headers, ((b"x", b"1"), (b"x-role", b"dev")))

    def test_whatOnlyItSetsIsTakenOffInAnyCase(self) -> None:
        for failOpen in (False, True):
            authorizer = self.make(failOpen)
            asking = authorizer.assist(request(headers=((b"x-role", b"forged"),)), self.behind)
            if failOpen:
                self.fetch.asked[-1][1].errback(FetchFailed("down"))
            else:
                self.fetch.answer(True)
            self.successResultOf(asking)
            self.assertEqual(self.behind.passed.pop().head.headers, ())

    def test_aRefusalIsToldWithItsReason(self) -> None:
        source = Source()
        asked = request(body=source)
        authorizer = self.make()
        asking = authorizer.assist(asked, self.behind)
        self.fetch.answer({"allow": False, "status": 451, "reason": "not here"})
        response = self.successResultOf(asking)
        self.assertEqual((response.head.status, textOf(response)), (451, b"not here\n"))
        self.assertIn(b"http_request_denied", fieldsOf(response)[b"proxy-status"])
        self.assertEqual((self.behind.passed, source.calls, asked.record.error), ([], ["stop"], "not here"))
        self.assertEqual(authorizer.status()["denied"], 1)

    def test_answersAreSharedAndKept(self) -> None:
        authorizer = self.make()
        alice, bob = Identity(user="alice"), Identity(user="bob")
        asking = [authorizer.assist(request(identity=alice), self.behind) for _ in range(5)]
        other = authorizer.assist(request(identity=bob), self.behind)
        self.assertEqual(len(self.fetch.asked), 2)
        self.fetch.answer(True, 0)
        self.fetch.answer(False, 1)
        self.assertEqual([self.successResultOf(each).head.status for each in (*asking, other)], [200] * 5 + [403])
        for identity, status in ((alice, 200), (bob, 403)):
            again = authorizer.assist(request(identity=identity), self.behind)
            self.assertEqual(self.successResultOf(again).head.status, status)
        self.clock.advance(6)
        self.assertNoResult(authorizer.assist(request(identity=alice), self.behind))

    def test_noAnswerIsNo(self) -> None:
        authorizer = self.make()
        source = Source()
        asking = authorizer.assist(request(body=source), self.behind)
        self.fetch.asked[0][1].errback(FetchFailed("10.0.0.1: connection refused"))
        failure = self.failureResultOf(asking, AuthorizerFailed)
        # Where it is, is nobody's business.
        self.assertEqual((failure.value.status, str(failure.value)), (503, "the authorizer does not answer"))
        self.assertEqual((self.behind.passed, source.calls, authorizer.failures), ([], ["stop"], 1))
        asking = authorizer.assist(request(), self.behind)
        self.fetch.answer("yes")
        self.failureResultOf(asking, AuthorizerFailed)
        self.assertEqual(self.behind.passed, [])

    def test_noAnswerIsYesWhereSomebodyWantsIt(self) -> None:
        authorizer = self.make(failOpen=True)
        for _ in range(2):
            asking = authorizer.assist(request(), self.behind)
            self.fetch.asked[-1][1].errback(FetchFailed("down"))
            self.assertEqual(self.successResultOf(asking).head.status, 200)
        self.assertEqual(len(self.fetch.asked), 2)

    def test_tooManyQuestionsOpenNoDoor(self) -> None:
        authorizer = self.make(failOpen=True, atOnce=1, waiting=1)
        for path in (b"/a", b"/b"):
            authorizer.assist(request(path), self.behind)
        source = Source()
        self.failureResultOf(authorizer.assist(request(b"/c", body=source), self.behind), Overloaded)
        self.assertEqual((self.behind.passed, source.calls), ([], ["stop"]))

    def test_whoLeavesIsNotAskedAbout(self) -> None:
        authorizer = self.make()
        asking = authorizer.assist(request(), self.behind)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual(authorizer.status()["asking"], 0)

    def test_everyReadingOfAPathMustBeAllowed(self) -> None:
        for allowed in (True, False):
            authorizer = self.make()
            self.fetch.asked.clear()
            asking = authorizer.assist(request(b"/public%2F..%2Fadmin"), self.behind)
            while not asking.called:
                path = json.loads(self.fetch.asked[-1][0])["input"]["path"]
                self.fetch.answer(allowed or path != "/admin")
            self.assertEqual(self.successResultOf(asking).head.status, 200 if allowed else 403)
            self.assertGreater(len(self.fetch.asked), 1)

    def test_whatAPlainServiceAnswersIsTheClients(self) -> None:
        service = PlainHTTP(self.fetch, "http://auth/", b"GET", (), self.sets)
        questions = Questions(VerdictCache(self.clock.seconds, 5.0, 10), 10, 10)
        authorizer = Authorizer("auth", "edge", service, questions, self.sets)
        for method, body in ((b"GET", b"log in"), (b"HEAD", None)):
            asking = authorizer.assist(request(method=method), self.behind)
            fields = ((b"location", b"https://login.example/"), (b"content-type", b"text/html"))
            self.fetch.asked[-1][1].callback(Answer(302, fields, b"log in"))
            response = self.successResultOf(asking)
            found = fieldsOf(response)
            self.assertEqual((response.head.status, found[b"location"]), (302, b"https://login.example/"))
            self.assertEqual((found[b"content-length"], found[b"content-type"]), (b"6", b"text/html"))
            self.assertEqual(None if response.body is None else textOf(response), body)

    def test_optionsThatMakeNoSenseAreRefused(self) -> None:
        trust = OverlayAuthority.create(self.mktemp()).trustFile
        cases: tuple[tuple[dict[str, Any], str], ...] = (
            ({"url": "opa:8181"}, "http"),
            ({"url": "http:///x"}, "http"),
            ({"url": "http://x/#y"}, "fragment"),
            ({"url": "http://x", "protocol": "http", "token": "x"}, "token"),
            ({"url": "http://x", "protocol": "http", "inputs": ("user",)}, "inputs"),
            ({"url": "http://x", "method": "HEAD"}, "method"),
            ({"url": "http://x", "trust": trust}, "https"),
            ({"url": "https://x", "trust": __file__}, "test_authorizer.py: "),
            ({"url": "http://x", "timeout": 0.0}, "more than 0"),
            ({"url": "http://x", "sets": ("host",)}, "can't be set"),
        )
        for options, reason in cases:
            with self.assertRaisesRegex(ValueError, reason):
                AuthorizerOptions(**options)


class Agent(Resource):
    """
    An Open Policy Agent on loopback, as far as it is asked here.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.decide: Callable[[dict[str, Any]], Any] = lambda asked: False
        self.asked: list[Any] = []

    def render_POST(self, request: Any) -> Any:
        asked = json.loads(request.content.read())["input"]
        self.asked.append((request.path, asked))
        answer = self.decide(asked)
        if answer is NOT_DONE_YET:
            return NOT_DONE_YET
        request.setHeader(b"content-type", b"application/json")
        return answer if isinstance(answer, bytes) else json.dumps({"result": answer}).encode()


class LoopbackTests(TestCase):
    """
    With a server.
    """

    def setUp(self) -> None:
        self.agent = Agent()
        self.port: Any = reactor.listenTCP(0, Site(self.agent), interface="127.0.0.1")
        self.addCleanup(lambda: self.port.stopListening())
        self.behind = Behind()

    def make(self, **options: Any) -> Authorizer:
        url = f"http://127.0.0.1:{self.port.getHost().port}/v1/data/hermes/allow"
        context: Any = Context(reactor)
        made: Any = AuthorizerType().assistant("opa", AuthorizerOptions(url=url, **options), context)
        self.addCleanup(made.close)
        assert isinstance(made, Authorizer)
        return made

    def ask(self, authorizer: Authorizer, asked: Request) -> Deferred[Response]:
        return authorizer.assist(asked, self.behind)

    async def test_itDecides(self) -> None:
        self.agent.decide = lambda asked: {"allow": asked["user"] == "alice", "headers": {"x-role": "dba"}}
        authorizer = self.make(sets=("x-role",))
        alice = await self.ask(authorizer, request(b"/a", identity=Identity(user="alice")))
        bob = await self.ask(authorizer, request(b"/a", identity=Identity(user="bob")))
        self.assertEqual((alice.head.status, bob.head.status), (200, 403))
        self.assertEqual(self.behind.passed[0].head.headers, ((b"x-role", b"dba"),))
        self.assertEqual([path for path, _ in self.agent.asked], [b"/v1/data/hermes/allow"] * 2)

    async def test_whenItIsDownNobodyPasses(self) -> None:
        authorizer, open_ = self.make(), self.make(failOpen=True)
        await self.port.stopListening()
        await self.assertFailure(self.ask(authorizer, request()), AuthorizerFailed)
        self.assertEqual(self.behind.passed, [])
        self.assertEqual((await self.ask(open_, request())).head.status, 200)

    async def test_whenItDoesNotAnswerInTimeNobodyPasses(self) -> None:
        self.agent.decide = lambda asked: NOT_DONE_YET
        await self.assertFailure(self.ask(self.make(timeout=0.05), request()), AuthorizerFailed)
        self.assertEqual((len(self.agent.asked), self.behind.passed), (1, []))

    async def test_whenItAnswersGarbageNobodyPasses(self) -> None:
        for garbage in (b"", b"<html>", b"x" * 1_000_000):
            self.agent.decide = lambda asked, garbage=garbage: garbage  # type: ignore[misc]
            await self.assertFailure(self.ask(self.make(), request()), AuthorizerFailed)
        self.assertEqual(self.behind.passed, [])

    async def test_deniedIsAResponseOfOurs(self) -> None:
        response = await self.ask(self.make(), request())
        self.assertEqual(textOf(response), b"denied by policy\n")
        self.assertTrue(issubclass(Denied, Exception))
