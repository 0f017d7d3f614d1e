"""
What an intermediary changes in heads.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import BadRequest
from hermes.http.fields import Heads, LoopDetected
from hermes.values import Address, Forwarded, Headers, RequestHead, ResponseHead

SOURCE = ("192.0.2.1", 4000)
VIA = (b"via", b"2 hermes-1")
FOR = (b"forwarded", b'for=192.0.2.1;host="origin.example:81";proto=http')


class Changing(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.heads = Heads(b"hermes-1", self.clock.seconds, b"secret")

    def request(
        self,
        *fields: tuple[bytes, bytes],
        method: bytes = b"GET",
        version: str = "2",
        source: Address | None = SOURCE,
        trusted: bool = False,
        forwarded: Forwarded = "none",
    ) -> Headers:
        head = RequestHead(method, b"http", b"origin.example:81", b"/a?b", b"websocket", fields)
        changed = self.heads.request(head, version, source, trusted, forwarded)
        self.assertEqual(
            (changed.method, changed.scheme, changed.authority, changed.path, changed.protocol),
            (head.method, head.scheme, head.authority, head.path, head.protocol),
        )
        return changed.headers

    def response(self, *fields: tuple[bytes, bytes], status: int = 200, version: str = "2") -> Headers:
        changed = self.heads.response(ResponseHead(status, fields), version)
        self.assertEqual(changed.status, status)
        return changed.headers


class RequestTests(Changing):
    def test_whatIsEndToEndPassesInItsOrder(self) -> None:
        fields = (
            *((b"accept", b"a"), (b"accept", b"b"), (b"authorization", b"mine"), (b"te", b"trailers")),
            *((b"expect", b"100-continue"), (b"x-custom", b""), (b"x-forward", b"no claim"), (b"hermes", b"neither")),
        )
        self.assertEqual(self.request(*fields), (*fields, VIA))

    def test_viaSaysTheVersionThatCameAndKeepsWhoWasBefore(self) -> None:
        before = (b"via", b"1.0 fred, 1.1 p.example (Apache, \\) 1.1)")
        for version in ("1.0", "1.1", "2"):
            own = (b"via", version.encode() + b" hermes-1")
            self.assertEqual(self.request(before, version=version), (before, own))

    def test_aRequestThatWasHereIsALoop(self) -> None:
        for via in (b"1.1 hermes-1", b"1.1 a, 2 hermes-1 (x), 1.1 b", b"HTTP/2\thermes-1"):
            self.assertRaises(LoopDetected, self.request, (b"via", b"1.1 c"), (b"via", via))
        self.request((b"via", b"1.1 hermes-2, 1.1 hermes"))

    def test_whatClaimsAuthorityIsBelievedFromANodeOnly(self) -> None:
        claims = (
            *((b"user", b"root"), (b"forwarded", b"for=127.0.0.1"), (b"x-forwarded-for", b"127.0.0.1")),
            *((b"x-forwarded-proto", b"https"), (b"x-forwarded-", b""), (b"x-real-ip", b"127.0.0.1")),
        )
        self.assertEqual(self.request(*claims), (VIA,))
        self.assertEqual(self.request(*claims, trusted=True), (*claims, VIA))

    def test_whatIsForThisProxyStaysHere(self) -> None:
        for trusted in (False, True):
            fields = (
                (b"proxy-authorization", b"Basic eDp5"),
                (b"hermes-via", b'"a"'),
                (b"hermes-", b""),
                (b"host", b"x"),
                (b"sec-websocket-key", b"x"),
            )
            self.assertEqual(self.request(*fields, trusted=trusted), (VIA,))

    def test_crumbsOfACookieAreJoined(self) -> None:
        fields = ((b"cookie", b"a=1"), (b"accept", b"*"), (b"cookie", b"b=2; c=3"))
        self.assertEqual(self.request(*fields), ((b"accept", b"*"), (b"cookie", b"a=1; b=2; c=3"), VIA))

    def test_trailersNeedABodyInChunks(self) -> None:
        trailer, length = (b"trailer", b"checksum"), (b"content-length", b"7")
        self.assertEqual(self.request(length), (length, VIA))
        self.assertEqual(self.request(length, trailer), (trailer, VIA))
        self.assertEqual(self.request(trailer, length), (trailer, VIA))

    def test_forwardedTellsTheClient(self) -> None:
        self.assertEqual(self.request(forwarded="address"), (FOR, VIA))
        for source, node in (
            (None, b"for=unknown"),
            (("2001:db8::1", 1), b'for="[2001:db8::1]"'),
            (("fe80::1%eth0", 1), b'for="[fe80::1]"'),
        ):
            value = self.request(forwarded="address", source=source)[0][1]
            self.assertEqual(value, node + b';host="origin.example:81";proto=http')

    def test_forwardedIsAppendedToWhatANodeSays(self) -> None:
        before = (b"forwarded", b"for=198.51.100.1")
        self.assertEqual(self.request(before, trusted=True, forwarded="address"), (before, FOR, VIA))

    def test_aClientCanBeTheSameWithoutBeingKnown(self) -> None:
        def word(source: Address, secret: bytes = b"secret") -> bytes:
            self.heads = Heads(b"hermes-1", self.clock.seconds, secret)
            name, value = self.request(forwarded="obfuscated", source=source)[0]
            self.assertEqual(name, b"forwarded")
            return value

        first = word(SOURCE)
        self.assertRegex(first, rb'^for=_[0-9a-f]{12};host="origin.example:81";proto=http$')
        self.assertEqual(word((SOURCE[0], 9)), first)
        self.assertNotEqual(word(("192.0.2.2", 4000)), first)
        self.assertNotEqual(word(SOURCE, b"other"), first)

    def test_whoeverWasSeenIsForgottenInTheEnd(self) -> None:
        for number in range(5000):
            self.request(forwarded="address", source=(f"10.0.{number >> 8}.{number & 255}", 1))
        self.assertLess(len(self.heads._clients), 4097)

    def test_maxForwardsCountsDown(self) -> None:
        self.assertEqual(self.request((b"max-forwards", b"3"), method=b"OPTIONS"), ((b"max-forwards", b"2"), VIA))
        self.assertEqual(self.request((b"max-forwards", b"3")), ((b"max-forwards", b"3"), VIA))
        self.assertRaises(BadRequest, self.request, (b"max-forwards", b"-1"), method=b"OPTIONS")

    @given(st.lists(st.tuples(st.from_regex(rb"\A[a-z-]{1,12}\Z"), st.binary(max_size=8)), max_size=12))
    def test_nothingElseIsChangedOrLost(self, fields: list[tuple[bytes, bytes]]) -> None:
        special = {b"via", b"cookie", b"trailer", b"user", b"host", b"forwarded"}
        kept = tuple(pair for pair in fields if pair[0] not in special and not pair[0].startswith((b"x-f", b"hermes-")))
        self.assertEqual(self.heads.request(RequestHead(b"GET", headers=kept), "2", None).headers[:-1], kept)


class LastHopTests(Changing):
    def answer(self, method: bytes, *fields: tuple[bytes, bytes]) -> ResponseHead | None:
        response = self.heads.lastHop(RequestHead(method, b"http", b"origin.example", b"/a", None, fields))
        return None if response is None else response.head

    def test_whatMayGoOnIsNotAnswered(self) -> None:
        self.assertIsNone(self.answer(b"OPTIONS"))
        self.assertIsNone(self.answer(b"OPTIONS", (b"max-forwards", b"1")))
        self.assertIsNone(self.answer(b"GET", (b"max-forwards", b"0")))
        self.assertRaises(BadRequest, self.answer, b"OPTIONS", (b"max-forwards", b"x"))
        self.assertRaises(BadRequest, self.answer, b"OPTIONS", (b"max-forwards", b"1"), (b"max-forwards", b"0"))

    def test_optionsEndsHere(self) -> None:
        self.assertEqual(
            self.answer(b"OPTIONS", (b"max-forwards", b"0")), ResponseHead(200, ((b"content-length", b"0"),))
        )


class ResponseTests(Changing):
    DATED = (b"date", b"Sun, 06 Nov 1994 08:49:37 GMT")

    def test_whatIsEndToEndPassesInItsOrder(self) -> None:
        fields = (
            *((b"server", b"x"), (b"via", b"1.1 cdn"), self.DATED, (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")),
            *((b"www-authenticate", b"Basic"), (b"forwarded", b"?"), (b"proxy-status", b"a;error=dns_error")),
        )
        self.assertEqual(self.response(*fields), (*fields, VIA))
        self.assertEqual(self.response(self.DATED, version="1.1"), (self.DATED, (b"via", b"1.1 hermes-1")))

    def test_whatOnlyAProxyMaySayStaysHere(self) -> None:
        fields = ((b"proxy-authenticate", b"Basic"), (b"proxy-authentication-info", b"x"), (b"hermes-deadline", b"1"))
        self.assertEqual(self.response(*fields, self.DATED), (self.DATED, VIA))

    def test_aResponseWithoutADateGetsOne(self) -> None:
        self.clock.advance(784111777)
        self.assertEqual(self.response(), (self.DATED, VIA))
        self.clock.advance(0.5)
        self.assertEqual(self.response(), (self.DATED, VIA))
        self.clock.advance(0.5)
        self.assertEqual(self.response()[0], (b"date", b"Sun, 06 Nov 1994 08:49:38 GMT"))
        self.assertEqual(self.response(status=103), (VIA,))

    def test_trailersNeedABodyInChunks(self) -> None:
        trailer, length = (b"trailer", b"grpc-status"), (b"content-length", b"7")
        self.assertEqual(self.response(length, self.DATED), (length, self.DATED, VIA))
        self.assertEqual(self.response(length, self.DATED, trailer), (self.DATED, trailer, VIA))

    def test_whatMayHaveNoBodyHasNoLength(self) -> None:
        # A client of HTTP/2 takes the length of what never comes for a malformed message.
        length, link = (b"content-length", b"7"), (b"link", b"</a>")
        self.assertEqual(self.response(length, self.DATED, status=204), (self.DATED, VIA))
        self.assertEqual(self.response(length, self.DATED, status=304), (length, self.DATED, VIA))
        informational = self.heads.informational(ResponseHead(103, (length, link)))
        self.assertEqual(informational.headers, (link,))
