"""
What authorizers are asked, and what their answers mean.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from hermes.assist.fetching import Answer
from hermes.assist.questions import AuthorizerFailed, PlainHTTP, PolicyAgent
from hermes.assist.verdicts import Verdict
from hermes.errors import BadRequest
from hermes.messages import Request
from hermes.test.assist.asking import request
from hermes.values import Headers, Identity, RequestHead

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["allow", "headers", "status", "reason"]), inner),
)


class Asked:
    """
    Answers what it is told to, and keeps what it was asked.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, str, Headers, bytes]] = []
        self.answer = Answer(200, (), b'{"result": true}')

    def __call__(self, method: bytes, url: str, headers: Headers = (), body: bytes = b"") -> Deferred[Answer]:
        self.asked.append((method, url, headers, body))
        return succeed(self.answer)


class PolicyAgentTests(SynchronousTestCase):
    """
    The Open Policy Agent.
    """

    def setUp(self) -> None:
        self.fetch = Asked()
        self.url = "http://127.0.0.1:8181/v1/data/hermes"

    def agent(self, *inputs: Any, **options: Any) -> PolicyAgent:
        arguments: dict[str, Any] = {"headers": (), "sets": frozenset(), **options}
        return PolicyAgent(self.fetch, self.url, inputs, **arguments)

    def inputsOf(self, agent: PolicyAgent, asked: Request) -> list[dict[str, Any]]:
        return [json.loads(question)["input"] for question in agent.questions(asked)]

    def read(self, body: object, status: int = 200, **options: Any) -> Verdict:
        self.fetch.answer = Answer(status, (), body if isinstance(body, bytes) else json.dumps(body).encode())
        agent = self.agent("user", **options)
        return self.successResultOf(agent.ask(agent.questions(request())[0]))

    def test_itIsToldWhatItIsToBeTold(self) -> None:
        everything = (
            *("user", "node", "listener", "protocol", "method", "scheme", "host", "path", "query", "target", "source"),
        )
        agent = self.agent(*everything, headers=(b"x-a", b"x-b"), token="s3cret")
        asked = request(b"/a//b/?c=d&e", ((b"x-a", b"1"), (b"x-a", b"\xff"), (b"x-c", b"3")), Identity("n", "alice"))
        (found,) = self.inputsOf(agent, asked)
        self.assertEqual(
            found,
            {
                "user": "alice",
                "node": "n",
                "listener": "apps",
                "protocol": "http",
                "method": "GET",
                "scheme": "http",
                "host": "origin.example",
                "path": "/a/b/",
                "pathSegments": ["a", "b"],
                "query": "c=d&e",
                "target": {"host": "origin.example", "port": 80},
                "source": "192.0.2.7",
                "headers": {"x-a": "1, \ufffd"},
            },
        )
        self.successResultOf(agent.ask(agent.questions(asked)[0]))
        method, url, headers, body = self.fetch.asked[0]
        self.assertEqual((method, url, json.loads(body)), (b"POST", self.url, {"input": found}))
        self.assertIn((b"authorization", b"Bearer s3cret"), headers)
        self.assertIn((b"content-type", b"application/json"), headers)

    def test_whatItIsNotToldMakesNoDifference(self) -> None:
        agent = self.agent("user", "method")
        one = agent.questions(request(b"/a", identity=Identity(user="x")))
        two = agent.questions(request(b"/b", ((b"cookie", b"1"),), Identity("n", "x"), source=None))
        self.assertEqual(one, two)
        self.assertNotEqual(one, agent.questions(request(method=b"PUT", identity=Identity(user="x"))))
        self.assertEqual(self.inputsOf(agent, request()), [{"user": None, "method": "GET"}])

    def test_aPathIsAskedAboutInEachOfItsReadings(self) -> None:
        agent = self.agent("path")
        self.assertEqual([each["path"] for each in self.inputsOf(agent, request(b"/%61dmin/./x/../y"))], ["/admin/y"])
        found = [each["path"] for each in self.inputsOf(agent, request(b"/public%2F..%2Fadmin"))]
        self.assertIn("/admin", found)
        self.assertGreater(len(found), 1)
        with self.assertRaises(BadRequest):
            agent.questions(request(b"/%00"))
        asked = request(b"/")
        asked.head = evolve(asked.head, path=b"")
        self.assertEqual(self.inputsOf(agent, asked), [{"path": "", "pathSegments": []}])

    def test_trueIsYesAndTheRestIsNo(self) -> None:
        self.assertTrue(self.read({"result": True}).allowed)
        self.assertTrue(self.read({"result": {"allow": True}}).allowed)
        for result in ({"result": False}, {}, {"result": {"allow": False}}, {"decision_id": "x"}):
            verdict = self.read(result)
            self.assertEqual((verdict.allowed, verdict.status, verdict.headers), (False, 403, ()))

    def test_aRefusalMaySayWhy(self) -> None:
        verdict = self.read({"result": {"allow": False, "status": 451, "reason": "not here", "headers": {"a": "b"}}})
        self.assertEqual((verdict.status, verdict.body, verdict.headers), (451, b"not here\n", ()))
        self.assertEqual(len(self.read({"result": {"allow": False, "reason": "x" * 5000}}).body), 1025)

    def test_itSetsWhatItMay(self) -> None:
        headers = {"X-Role": "admin", "x-groups": ["a", "b"], "authorization": "Bearer x", "x-other": 7, "ü": "x"}
        verdict = self.read(
            {"result": {"allow": True, "headers": headers}}, sets=frozenset({b"x-role", b"x-groups", b"x-absent"})
        )
        self.assertEqual(verdict.headers, ((b"x-role", b"admin"), (b"x-groups", b"a"), (b"x-groups", b"b")))

    def test_whatCannotBeReadIsNoAnswer(self) -> None:
        garbage: tuple[object, ...] = (
            b"",
            b"<html>",
            b"\xff",
            b"[" * 100_000,
            [],
            None,
            True,
            {"result": 1},
            {"result": "true"},
            {"result": []},
            {"result": None},
            {"result": {}},
            {"result": {"allow": 1}},
            {"result": {"allow": "true"}},
            {"result": {"allow": True, "headers": []}},
            {"result": {"allow": True, "headers": {"x-role": 7}}},
            {"result": {"allow": True, "headers": {"x-role": "a\r\nb: c"}}},
            {"result": {"allow": True, "headers": {"x-role": [["a"]]}}},
            {"result": {"allow": False, "status": 200}},
            {"result": {"allow": False, "status": 307}},
            {"result": {"allow": False, "status": "403"}},
            {"result": {"allow": False, "status": True}},
            {"result": {"allow": False, "reason": 7}},
        )
        for body in garbage:
            self.fetch.answer = Answer(200, (), body if isinstance(body, bytes) else json.dumps(body).encode())
            agent = self.agent("user", sets=frozenset({b"x-role"}))
            self.failureResultOf(agent.ask(b"{}"), AuthorizerFailed)
        for status in (204, 301, 400, 404, 500):
            self.fetch.answer = Answer(status, (), b'{"result": true}')
            self.failureResultOf(self.agent("user").ask(b"{}"), AuthorizerFailed)

    @given(JSON)
    def test_onlyAPlainYesIsYes(self, result: Any) -> None:
        self.fetch.answer = Answer(200, (), json.dumps({"result": result}).encode())
        asking = self.agent("user").ask(b"{}")
        found: list[Any] = []
        asking.addBoth(found.append)
        if isinstance(found[0], Verdict) and found[0].allowed:
            self.assertTrue(result is True or result["allow"] is True)


class PlainHTTPTests(SynchronousTestCase):
    """
    A service that is sent the head.
    """

    def setUp(self) -> None:
        self.fetch = Asked()

    def service(self, **options: Any) -> PlainHTTP:
        arguments: dict[str, Any] = {"method": b"GET", "headers": (b"cookie", b"x-a"), "sets": frozenset(), **options}
        return PlainHTTP(self.fetch, "http://127.0.0.1/auth", **arguments)

    def read(self, status: int, headers: Headers = (), body: bytes = b"", **options: Any) -> Verdict:
        self.fetch.answer = Answer(status, headers, body)
        service = self.service(**options)
        return self.successResultOf(service.ask(service.questions(request())[0]))

    def test_itIsSentTheHead(self) -> None:
        service = self.service(method=b"HEAD")
        asked = request(
            b"/a?b",
            ((b"cookie", b"s=1"), (b"x-a", b"1"), (b"x-a", b"2"), (b"x-b", b"3")),
            Identity("n", "alice"),
            b"PUT",
        )
        (question,) = service.questions(asked)
        self.successResultOf(service.ask(question))
        self.assertEqual(
            self.fetch.asked,
            [
                (
                    b"HEAD",
                    "http://127.0.0.1/auth",
                    (
                        (b"cookie", b"s=1"),
                        (b"x-a", b"1"),
                        (b"x-a", b"2"),
                        (b"x-forwarded-method", b"PUT"),
                        (b"x-forwarded-proto", b"http"),
                        (b"x-forwarded-host", b"origin.example"),
                        (b"x-forwarded-uri", b"/a?b"),
                        (b"x-forwarded-for", b"192.0.2.7"),
                        (b"x-forwarded-user", b"alice"),
                        (b"x-forwarded-node", b"n"),
                    ),
                    b"",
                )
            ],
        )

    def test_aTunnelNamesItsTarget(self) -> None:
        asked = request(method=b"CONNECT", source=None, protocol="udp")
        asked.head = RequestHead(b"CONNECT")
        self.assertEqual(
            dict(self.service().questions(asked)[0]),
            {
                b"x-forwarded-method": b"CONNECT",
                b"x-forwarded-proto": b"udp",
                b"x-forwarded-host": b"origin.example:80",
            },
        )

    def test_anySuccessIsYes(self) -> None:
        sets = frozenset({b"x-user", b"x-role"})
        for status in (200, 204, 299):
            verdict = self.read(status, ((b"x-user", b"al"), (b"server", b"x"), (b"x-role", b"a")), sets=sets)
            self.assertEqual((verdict.allowed, verdict.headers), (True, ((b"x-user", b"al"), (b"x-role", b"a"))))

    def test_anotherAnswerIsTheClients(self) -> None:
        fields = (
            (b"location", b"https://login.example/"),
            (b"www-authenticate", b"Basic"),
            (b"proxy-authenticate", b"Basic"),
            (b"connection", b"close"),
            (b"transfer-encoding", b"chunked"),
            (b"content-length", b"9"),
        )
        for status in (302, 401, 403, 429):
            verdict = self.read(status, fields, b"go away")
            self.assertEqual((verdict.allowed, verdict.status, verdict.body), (False, status, b"go away"))
            self.assertEqual(verdict.response, fields[:2])
            self.assertTrue(verdict.lasting)

    def test_whatIsSaidToOneClientIsNotKeptForTheNext(self) -> None:
        for field in ((b"set-cookie", b"state=1"), (b"cache-control", b"private, No-Store")):
            self.assertFalse(self.read(401, (field,)).lasting)

    def test_anErrorIsNoAnswer(self) -> None:
        for status in (500, 502, 503):
            self.fetch.answer = Answer(status, (), b"")
            self.failureResultOf(self.service().ask(()), AuthorizerFailed)
