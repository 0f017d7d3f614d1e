"""
What routes do to requests and responses.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.http.actions import (
    HeaderChanges,
    Redirect,
    RequestActions,
    Respond,
    Rewrite,
    Split,
    changeResponse,
    fixedResponse,
    redirectResponse,
    rewriteRequest,
)
from hermes.http.texts import Text
from hermes.matching import NO_CAPTURES, Captures, Match
from hermes.matching.regex import Regex
from hermes.messages import BytesBody, Request, RequestRecord
from hermes.values import Flow, Headers, Identity, RequestHead, ResponseHead, Target

ALICE = Identity("edge", "alice")
ALL = Match.fromTexts(paths=["/"])


def request(
    path: str = "/",
    authority: str = "web.example:8080",
    headers: Headers = (),
    method: bytes = b"GET",
    identity: Identity = ALICE,
    source: str | None = "192.0.2.7",
) -> Request:
    """
    A request as it comes to a route.
    """
    head = RequestHead(method, b"http", authority.encode(), path.encode(), None, headers)
    flow = Flow("http", Target.fromText(authority, 80), (source and (source, 5)) or None, identity)
    return Request(head, flow, RequestRecord(flow, head, "1.1", 0.0))


class Texts(SynchronousTestCase):
    def test_placesAreFilled(self) -> None:
        asked = request("/a?b")
        for text, filled in {
            "plain": b"plain",
            "{user}@{node}": b"alice@edge",
            "from {source}.": b"from 192.0.2.7.",
            "https://{host}{path}": b"https://web.example/a?b",
            "{{user}} {id}": b"{user} 7",
            "}}{{": b"}{",
            "": b"",
        }.items():
            self.assertEqual(filled, Text(text).fill(asked, Captures({"id": "7"})), text)

    def test_whatIsNotKnownIsEmpty(self) -> None:
        asked = request(identity=Identity(), source=None)
        self.assertEqual(b"[][][]", Text("[{user}][{node}][{source}]").fill(asked))

    def test_aNameOutOfATokenEndsNoLine(self) -> None:
        asked = request(identity=Identity(None, "eve\r\nx-admin: 1"))
        self.assertEqual(b"eve??x-admin: 1", Text("{user}").fill(asked))
        self.assertEqual(b"/eve%3F%3Fx-admin%3A%201", Text("/{user}").fill(asked, encode=True))

    def test_namesThatStandForNothingAreTold(self) -> None:
        self.assertEqual(["nobody"], Text("{user}{id}{nobody}").unknown({"id"}))

    def test_braceThatNamesNothingAreRefusedWithASentence(self) -> None:
        for text in ("{", "}", "{}", "a{b", "{{}", "{a{b}}"):
            with self.assertRaises(ValueError, msg=text):
                Text(text)

    @given(st.text())
    def test_anyTextCanBeMeant(self, text: str) -> None:
        self.assertEqual(text.encode(), Text(text.replace("{", "{{").replace("}", "}}")).fill(request()))


class Rewriting(SynchronousTestCase):
    def rewritten(self, rewrite: Rewrite, path: str, match: Match = ALL) -> str:
        asked = request(path)
        rewriteRequest(RequestActions(rewrite=rewrite), asked, match.captures(asked.head))
        self.assertEqual(asked.record.head.path, path.encode())
        return asked.head.path.decode()

    def test_thePathIsReplacedAndTheQueryStays(self) -> None:
        self.assertEqual("/b?x=1", self.rewritten(Rewrite(path=Text("/b")), "/a?x=1"))
        self.assertEqual("/b?y", self.rewritten(Rewrite(path=Text("/b?y")), "/a?x=1"))
        self.assertEqual("/b", self.rewritten(Rewrite(path=Text("/b")), "/a"))

    def test_capturesAreFilledIn(self) -> None:
        match = Match.fromTexts(paths=["/users/{id}/posts", "/people/{id}"])
        rewrite = Rewrite(path=Text("/p/{id}/of/{user}"))
        self.assertEqual("/p/7/of/alice", self.rewritten(rewrite, "/users/7/posts", match))
        self.assertEqual("/p/a%2Fb/of/alice", self.rewritten(rewrite, "/people/a%2fb", match))
        self.assertEqual("/p/a%20b/of/alice?q", self.rewritten(rewrite, "/x/../people/%61%20b?q", match))
        match = Match.fromTexts(paths=[{"regex": "/v(?P<n>[0-9]+)/(?P<rest>.*)"}])
        self.assertEqual("/a/b?v=2", self.rewritten(Rewrite(path=Text("/{rest}?v={n}")), "/v2/a/b", match))

    def test_aPrefixIsReplaced(self) -> None:
        match = Match.fromTexts(paths=[{"prefix": "/old"}])
        for path, expected in {
            "/old": "/new",
            "/old/": "/new/",
            "/old/a/b?q=/old/": "/new/a/b?q=/old/",
            "/old/http://x/": "/new/http://x/",
            "//old//a": "/new/a",
            "/%6fld/%61%20": "/new/a%20",
            "/old/x/../a": "/new/a",
            "/old/../old/a": "/new/a",
        }.items():
            for prefix in (b"/new", b"/new/"):
                self.assertEqual(expected, self.rewritten(Rewrite(prefix=prefix), path, match), path)
        self.assertEqual("/", self.rewritten(Rewrite(prefix=b"/"), "/old", match))
        self.assertEqual("/a", self.rewritten(Rewrite(prefix=b"/"), "/old/a", match))
        self.assertEqual("/new/a", self.rewritten(Rewrite(prefix=b"/new"), "/a"))
        match = Match.fromTexts(paths=["/users/{id}/"])
        self.assertEqual("/me/x", self.rewritten(Rewrite(prefix=b"/me"), "/users/7/x", match))

    def test_whatAnExpressionMatchesIsReplaced(self) -> None:
        rewrite = Rewrite(regex=Regex("^/v([0-9])/"), substitution=r"/api/\1/")
        self.assertEqual("/api/2/x?y", self.rewritten(rewrite, "/v2/x?y"))
        self.assertEqual("/x/v2/", self.rewritten(rewrite, "/x/v2/"))
        self.assertEqual("/b-b-", self.rewritten(Rewrite(regex=Regex("a"), substitution="b-"), "/aa"))
        self.assertEqual("/a", self.rewritten(Rewrite(regex=Regex("^/"), substitution=""), "/a"))

    def test_theHostIsReplaced(self) -> None:
        asked = request("/a", headers=((b"a", b"1"),))
        rewriteRequest(RequestActions(rewrite=Rewrite(host=Text("{user}.internal:81"))), asked)
        self.assertEqual(asked.head, RequestHead(b"GET", b"http", b"alice.internal:81", b"/a", None, ((b"a", b"1"),)))
        self.assertEqual(b"web.example:8080", asked.record.head.authority)

    def test_withoutAnythingToDoTheHeadIsTheSame(self) -> None:
        asked = request()
        head = asked.head
        rewriteRequest(RequestActions(), asked)
        self.assertIs(head, asked.head)


class Fields(SynchronousTestCase):
    changes = HeaderChanges(
        set=((b"x-user", Text("{user}")), (b"x-two", Text("1")), (b"x-two", Text("2"))),
        add=((b"via-us", Text("{host}")),),
        remove=frozenset((b"cookie",)),
    )
    before: Headers = ((b"x-user", b"root"), (b"cookie", b"a"), (b"via-us", b"b"), (b"x-user", b"c"), (b"d", b"e"))
    after: Headers = (
        (b"via-us", b"b"),
        (b"d", b"e"),
        (b"x-user", b"alice"),
        (b"x-two", b"1"),
        (b"x-two", b"2"),
        (b"via-us", b"web.example"),
    )

    def test_someGoSomeAreSetSomeAreAdded(self) -> None:
        asked = request(headers=self.before)
        rewriteRequest(RequestActions(headers=self.changes), asked)
        self.assertEqual(self.after, asked.head.headers)

    def test_theSameIsDoneToResponses(self) -> None:
        head = ResponseHead(201, self.before)
        changed = changeResponse(RequestActions(responseHeaders=self.changes), head, request())
        self.assertEqual(ResponseHead(201, self.after), changed)
        self.assertIs(head, changeResponse(RequestActions(headers=self.changes), head, request()))


class Answers(SynchronousTestCase):
    def location(self, redirect: Redirect, asked: Request | None = None, captures: Captures = NO_CAPTURES) -> str:
        response = redirectResponse(redirect, asked or request("/a?b"), captures)
        self.assertEqual(redirect.status, response.head.status)
        location = response.head.get(b"location")
        assert location is not None
        return location.decode()

    def test_aRedirectLeadsToAURL(self) -> None:
        self.assertEqual("https://new.example/", self.location(Redirect(to=Text("https://new.example/"))))
        self.assertEqual(
            "/7?from=/a?b", self.location(Redirect(to=Text("/{id}?from={path}")), None, Captures({"id": "7"}))
        )

    def test_aRedirectChangesParts(self) -> None:
        for redirect, location in (
            (Redirect(scheme=b"https", status=308), "https://web.example/a?b"),
            (Redirect(scheme=b"http"), "http://web.example:8080/a?b"),
            (Redirect(host=Text("new.example:81")), "http://new.example:81/a?b"),
            (Redirect(path=Text("/c/{user}")), "http://web.example:8080/c/alice"),
            (Redirect(scheme=b"https", host=Text("x"), path=Text("/"), status=301), "https://x/"),
        ):
            self.assertEqual(location, self.location(redirect))
        self.assertEqual("https://[::1]/", self.location(Redirect(scheme=b"https"), request("/", authority="[::1]:80")))

    def test_aFixedAnswerHasItsBody(self) -> None:
        response = fixedResponse(Respond(503, b"later", ((b"retry-after", b"60"),)), request())
        self.assertEqual(ResponseHead(503, ((b"retry-after", b"60"), (b"content-length", b"5"))), response.head)
        assert isinstance(response.body, BytesBody)
        self.assertEqual(b"later", response.body.data)

    def test_toHEADThereIsNoBody(self) -> None:
        response = fixedResponse(Respond(200, b"later"), request(method=b"HEAD"))
        self.assertEqual((b"5", None), (response.head.get(b"content-length"), response.body))

    def test_noContentHasNoLength(self) -> None:
        response = fixedResponse(Respond(204), request())
        self.assertEqual((ResponseHead(204), None), (response.head, response.body))
        self.assertEqual(b"0", fixedResponse(Respond(404), request()).head.get(b"content-length"))


class Splitting(SynchronousTestCase):
    def test_eachHasItsShare(self) -> None:
        split = Split((("a", 90), ("b", 10), ("c", 0)), Random(7))
        counted = Counter(split.choose() for _ in range(10_000))
        self.assertEqual({"a", "b"}, set(counted))
        self.assertTrue(850 < counted["b"] < 1150, counted)

    def test_theSameRandomnessChoosesTheSame(self) -> None:
        one, other = (Split((("a", 1), ("b", 1)), Random(3)) for _ in range(2))
        self.assertEqual([one.choose() for _ in range(20)], [other.choose() for _ in range(20)])
