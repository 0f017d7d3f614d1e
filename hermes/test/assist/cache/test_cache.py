"""
Tests for L{hermes.assist.cache.cache}: what a client gets, and what its origin is asked.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from hermes.assist.cache.cache import RESULTS
from hermes.errors import TargetRefused
from hermes.interfaces import IAssistant
from hermes.messages import BytesBody, RequestRecord, Response
from hermes.test.assist.cache.fakes import CacheCase, FakeBody, OnDisk
from hermes.test.assist.cache.test_rules import date
from hermes.values import ResponseHead


class ReuseTests(CacheCase):
    """
    Responses that are used again.
    """

    def test_itIsAnAssistant(self) -> None:
        self.assertTrue(verifyObject(IAssistant, self.cache))

    def test_aFreshResponseIsUsedAgain(self) -> None:
        first = self.fetch(b"hello", cache_control="max-age=60", content_type="text/plain", x="1")
        self.assertEqual((first.status, first.body, first.record.cache), (200, b"hello", "miss"))
        self.assertEqual(first.get("cache-status"), "edge/pages; fwd=uri-miss; ttl=60; stored")
        self.assertIsNone(first.get("age"))
        self.clock.advance(10)
        again = self.get()
        self.assertSent(1)
        self.assertEqual((again.status, again.body, again.record.cache), (200, b"hello", "hit"))
        for name, value in (
            ("cache-status", "edge/pages; hit; ttl=50"),
            ("age", "10"),
            ("content-length", "5"),
            ("content-type", "text/plain"),
            ("x", "1"),
            ("date", date()),
        ):
            self.assertEqual(again.get(name), value)

    def test_aStaleOneIsNot(self) -> None:
        self.fetch(cache_control="max-age=60")
        self.clock.advance(60)
        again = self.fetch(b"new", cache_control="max-age=60")
        self.assertEqual((again.body, again.record.cache), (b"new", "miss"))
        self.assertEqual(again.get("cache-status"), "edge/pages; fwd=stale; ttl=60; stored")
        self.assertEqual(self.get().body, b"new")

    def test_aResponseOfUnknownLengthGetsOne(self) -> None:
        asked = self.ask()
        body = FakeBody()
        self.answer(body, cache_control="max-age=60")
        answered = self.read(asked)
        body.send(b"hel")
        body.send(b"lo")
        body.end(((b"checksum", b"1"),))
        self.assertEqual(answered.body, b"hello")
        assert answered.reader is not None
        self.assertEqual(answered.reader.trailers, ((b"checksum", b"1"),))
        self.assertEqual(self.get().get("content-length"), "5")

    def test_aResponseWithoutDateGetsOne(self) -> None:
        asked = self.ask()
        self.sent[-1][1].callback(Response(ResponseHead(200, ((b"cache-control", b"max-age=60"),)), BytesBody(b"x")))
        self.read(asked)
        self.clock.advance(5)
        self.assertEqual(self.get().get("date"), date())

    def test_aBodylessResponseIsUsedAgain(self) -> None:
        asked = self.ask()
        self.answer(None, 204, cache_control="max-age=60")
        self.assertIsNone(self.read(asked).reader)
        again = self.get()
        self.assertEqual((again.status, again.reader, again.get("content-length")), (204, None, None))

    def test_pathsQueriesAndAuthoritiesAreKeptApart(self) -> None:
        self.fetch(b"a", "/a", cache_control="max-age=60")
        for path, authority in (("/b", "web.example"), ("/a?", "web.example"), ("/a", "other.example")):
            self.cache.assist(self.request(path, authority=authority), self.onward)
        self.assertSent(4)
        self.assertEqual(self.get("/a", authority="WEB.example:80").body, b"a")
        self.assertSent(4)

    def test_whatMayNotBeStoredIsPassedOn(self) -> None:
        answered = self.fetch(cache_control="no-store", set_cookie="a=b")
        self.assertEqual((answered.body, answered.get("set-cookie")), (b"body", "a=b"))
        self.assertEqual(answered.get("cache-status"), "edge/pages; fwd=uri-miss")
        self.fetch(cache_control="no-store")
        self.assertSent(2)

    def test_theFirstClientGetsItsCookieAndNobodyElseDoes(self) -> None:
        first = self.fetch(cache_control='max-age=60, no-cache="set-cookie"', set_cookie="a=b")
        self.assertEqual(first.get("set-cookie"), "a=b")
        self.assertIsNone(self.get().get("set-cookie"))

    def test_aHeadIsAnsweredFromAStoredGet(self) -> None:
        self.fetch(b"hello", cache_control="max-age=60")
        answered = self.get(method="HEAD")
        self.assertEqual((answered.status, answered.reader, answered.get("content-length")), (200, None, "5"))
        self.assertEqual(answered.record.cache, "hit")

    def test_theResponseToAHeadIsNotStored(self) -> None:
        asked = self.ask(method="HEAD")
        self.answer(status=200, cache_control="max-age=60", content_length="5")
        self.assertEqual(self.read(asked).status, 200)
        self.ask()
        self.assertSent(2)

    def test_anErrorOfTheOriginIsTheClients(self) -> None:
        asked = self.ask()
        self.sent[-1][1].errback(TargetRefused("no"))
        self.failureResultOf(asked[0], TargetRefused)
        self.assertEqual(asked[1].cache, "miss")

    def test_variantsAreKeptApart(self) -> None:
        for language in ("de", "en"):
            self.fetch(
                language.encode(),
                asked={"accept_language": language},
                cache_control="max-age=60",
                vary="Accept-Language",
            )
        self.assertEqual(self.sent[1][0].record.cache, "miss")
        for language in ("de", "en"):
            self.assertEqual(self.get(accept_language=language).body, language.encode())
        self.assertSent(2)
        third = self.fetch(b"none", cache_control="max-age=60", vary="accept-language")
        self.assertEqual(third.get("cache-status"), "edge/pages; fwd=vary-miss; ttl=60; stored")

    def test_theLatestOfTheVariantsThatMatchIsUsed(self) -> None:
        self.fetch(b"one", asked={"a": "1"}, cache_control="max-age=60", vary="a")
        self.clock.advance(1)
        self.fetch(b"two", asked={"a": "2", "b": "1"}, cache_control="max-age=60", vary="b")
        self.assertEqual(self.get(a="1", b="1").body, b"two")

    def test_aRequestMayTakeOnlyWhatIsStored(self) -> None:
        answered = self.get(cache_control="only-if-cached")
        self.assertEqual(answered.status, 504)
        self.assertEqual(answered.get("cache-status"), "edge/pages; detail=only-if-cached")
        self.assertSent(0)
        self.fetch(cache_control="max-age=60")
        self.assertEqual(self.get(cache_control="only-if-cached").body, b"body")
        self.clock.advance(61)
        self.assertEqual(self.get(cache_control="only-if-cached").status, 504)
        self.assertSent(1)

    def test_aRequestThatIsNotToBeStoredGoesPast(self) -> None:
        self.fetch(cache_control="max-age=60")
        asked = self.ask(cache_control="no-store")
        self.answer(b"other", cache_control="max-age=60")
        answered = self.read(asked)
        self.assertEqual((answered.body, answered.record.cache), (b"other", "bypass"))
        self.assertEqual(answered.get("cache-status"), "edge/pages; fwd=request")
        self.assertEqual(self.get().body, b"body")

    def test_conditionsForAChangeAndBodiesAreTheOrigins(self) -> None:
        self.fetch(cache_control="max-age=60", etag='"1"')
        for headers in ({"if_match": '"2"'}, {"if_unmodified_since": date()}):
            _, record = self.ask(**headers)
            self.assertEqual(
                (record.cache, self.sent[-1][0].head.headers), ("bypass", self.sent[-1][0].record.head.headers)
            )
        request = self.request()
        request.body = BytesBody(b"x")
        self.cache.assist(request, self.onward)
        self.assertSent(4)

    def test_tunnelsGoPastUntouched(self) -> None:
        request = self.request(method="CONNECT")
        answer = self.cache.assist(request, self.onward)
        response = Response(ResponseHead(200))
        self.sent[0][1].callback(response)
        self.assertIs(self.successResultOf(answer), response)
        self.assertIs(self.sent[0][0], request)
        self.assertEqual(request.record.cache, "")

    def test_aResponseThatIsTooLargeIsPassedOnAsItIs(self) -> None:
        self.cache = self.make(largest=10)
        body = FakeBody()
        asked = self.ask()
        self.answer(body, cache_control="max-age=60", content_length="11")
        self.assertIs(self.successResultOf(asked[0]).body, body)


class ReuseOnDiskTests(OnDisk, ReuseTests):
    """
    The same with a store on disk.
    """


class ScopeTests(CacheCase):
    """
    Responses kept apart.
    """

    def test_byUserNobodyGetsAnothers(self) -> None:
        self.cache = self.make(by=("user",))
        asked = self.ask(user="alice")
        self.answer(b"alice's", cache_control="max-age=60")
        self.read(asked)
        self.ask(user="bob")
        self.ask()
        self.assertSent(3)
        self.assertEqual(self.get(user="alice").body, b"alice's")
        # A change is everybody's.
        asked = self.ask(method="POST", user="bob")
        self.answer(status=200)
        self.read(asked)
        self.ask(user="alice")
        self.assertSent(5)

    def test_byRouteNoRouteGetsAnothers(self) -> None:
        self.cache = self.make(by=("route",))
        asked = self.ask(route="beta")
        self.answer(cache_control="max-age=60")
        self.read(asked)
        self.ask(route="stable")
        self.assertSent(2)
        self.assertEqual(self.get(route="beta").record.cache, "hit")

    def stripped(self, user: str = "alice") -> tuple[Deferred[Response], RequestRecord]:
        """
        Ask with a credential that was checked, and taken off the request.
        """
        request = self.request(user=user, authorization="Basic eDp5")
        request.head = self.request().head
        return self.cache.assist(request, self.onward), request.record

    def test_whatACredentialWasShownForIsNobodyElses(self) -> None:
        for said, kept in (("max-age=60", False), ("public, max-age=60", True), ("s-maxage=60", True)):
            self.cache = self.make()
            sent = len(self.sent)
            asked = self.stripped()
            # Nobody waits for that, either.
            other = self.ask()
            self.assertSent(sent + 2)
            self.answer(b"alice's", index=sent, cache_control=said)
            self.read(asked)
            self.answer(b"anybody's", index=sent + 1)
            self.read(other)
            self.stripped("bob")
            self.assertSent(sent + (2 if kept else 3))

    def test_byUserItIsKeptForWhoseItIs(self) -> None:
        self.cache = self.make(by=("user",))
        asked = self.stripped()
        self.answer(b"alice's", cache_control="max-age=60")
        self.read(asked)
        self.assertEqual(self.read(self.stripped()).body, b"alice's")
        self.stripped("bob")
        self.assertSent(2)

    def test_otherwiseAllShare(self) -> None:
        asked = self.ask(user="alice", route="beta")
        self.answer(cache_control="max-age=60")
        self.read(asked)
        self.assertEqual(self.get(user="bob", route="stable").record.cache, "hit")


class TellingTests(CacheCase):
    """
    What the cache tells about itself.
    """

    def test_theKeyIsToldOnlyWhereItIsWanted(self) -> None:
        self.cache = self.make(cacheStatus="full")
        self.assertEqual(
            self.fetch(path="/a?b", cache_control="max-age=60").get("cache-status"),
            'edge/pages; fwd=uri-miss; ttl=60; stored; key="http://web.example/a?b"',
        )

    def test_nothingIsToldWhereNothingIsWanted(self) -> None:
        self.cache = self.make(cacheStatus="none")
        self.assertIsNone(self.fetch(cache_control="max-age=60").get("cache-status"))
        self.assertIsNone(self.get().get("cache-status"))
        asked = self.ask(method="POST")
        self.answer(status=200)
        self.assertIsNone(self.read(asked).get("cache-status"))

    def test_whatCachesBeyondHaveSaidIsKeptForTheFirstClientOnly(self) -> None:
        first = self.fetch(cache_control="max-age=60", cache_status="far; hit; ttl=9")
        self.assertEqual(first.get("cache-status"), "far; hit; ttl=9, edge/pages; fwd=uri-miss; ttl=60; stored")
        self.assertEqual(self.get().get("cache-status"), "edge/pages; hit; ttl=60")

    def test_theStatusCounts(self) -> None:
        self.fetch(cache_control="max-age=60")
        self.get()
        self.get()
        status = self.cache.status()
        self.assertEqual((status["objects"], status["store"], status["evicted"]), (1, "memory", 0))
        self.assertEqual(status["requests"], {**dict.fromkeys(RESULTS, 0), "miss": 1, "hit": 2})
        self.assertGreater(status["bytes"], 4)

    def test_whenItIsClosedWhatIsOnItsWayIsGivenUp(self) -> None:
        self.fetch(cache_control="max-age=60, stale-while-revalidate=60")
        self.clock.advance(70)
        self.get()
        self.successResultOf(self.cache.close())
        self.assertEqual(self.cancelled, [self.sent[-1][0]])
