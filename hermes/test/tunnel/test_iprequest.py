"""
What a CONNECT-IP request asks for.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import BadRequest, FlowError
from hermes.tunnel.iprequest import parseProtocol, parseScope
from hermes.tunnel.request import IP_TEMPLATE, Kind, PathUnknown, Templates, TunnelRequest, connectIPHead, recognise
from hermes.values import RequestHead, Target
from hermes.wire.errors import MalformedError
from hermes.wire.template import PathTemplate

SCOPES = ["*", "db.hermes", "192.0.2.7", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::1", "2001:db8::/32", "::/0"]
OWN = PathTemplate("/ip{?target,ipproto}", required=())
STATIC = PathTemplate("/vpn", required=())


def head(path: bytes) -> RequestHead:
    return RequestHead(b"CONNECT", b"https", b"proxy.example", path, b"connect-ip")


def asked(path: bytes, template: PathTemplate | None = None) -> tuple[str, int | None]:
    templates = Templates() if template is None else Templates(ip=(template,))
    request = recognise(head(path), templates)
    assert request is not None and request.kind is Kind.CONNECT_IP and request.target.port == 0
    return request.target.host, request.ipProtocol


class ScopeTests(SynchronousTestCase):
    """
    L{parseScope} and L{parseProtocol}.
    """

    def test_whatIsCanonicalStaysAsItIs(self) -> None:
        for text in SCOPES:
            self.assertEqual(parseScope(text), text)

    def test_addressesAndPrefixesAreMadeCanonical(self) -> None:
        for text, canonical in (
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("2001:db8::1/128", "2001:db8::1"),
            ("2001:db8::1/064", "2001:db8::/64"),
        ):
            self.assertEqual(parseScope(text), canonical)

    def test_whatIsNeitherNameNorAddressNorPrefixIsMalformed(self) -> None:
        for text in (
            "",
            "/",
            "**",
            "*.hermes",
            "a b",
            "dé",
            "db.hermes/24",
            "192.0.2.256",
            "192.0.2",
            "192.0.2.07",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.0/-1",
            "192.0.2.0/1/2",
            "192.0.2.0/255.255.255.0",
            "2001:db8::/129",
            "2001:db8::/1000",
            "2001:db8::/٣",
            "[2001:db8::1]",
            "fe80::1%eth0",
            "fe80::1%25eth0",
            "x" * 256,
        ):
            with self.subTest(text=text):
                self.assertRaises(MalformedError, parseScope, text)

    def test_aProtocolIsANumberOfOneByte(self) -> None:
        for text, number in (("*", None), ("0", 0), ("6", 6), ("006", 6), ("255", 255)):
            self.assertEqual(parseProtocol(text), number)
        for text in ("", "-1", "256", "0006", "1000", "tcp", "6 ", "1.0", "٣", "0x6"):
            with self.subTest(text=text):
                self.assertRaises(MalformedError, parseProtocol, text)

    @settings(deadline=None)
    @given(st.text(max_size=40))
    def test_whatIsTakenIsStable(self, text: str) -> None:
        try:
            scope = parseScope(text)
        except MalformedError:
            return
        self.assertEqual(parseScope(scope), scope)


class RequestTests(SynchronousTestCase):
    """
    The head of a request.
    """

    def test_whatIsAskedForIsRecognised(self) -> None:
        for scope in SCOPES:
            for protocol in (None, 0, 6, 255):
                for template in (IP_TEMPLATE, OWN):
                    request = connectIPHead(scope, protocol, b"p", pathTemplate=template)
                    wanted = TunnelRequest(Kind.CONNECT_IP, Target(scope, 0), ipProtocol=protocol)
                    self.assertEqual(recognise(request, Templates(ip=(template,))), wanted)

    def test_theHeadIsThatOfTheStandard(self) -> None:
        request = connectIPHead("2001:db8::/32", 132, b"proxy.example")
        self.assertEqual((request.method, request.protocol, request.scheme), (b"CONNECT", b"connect-ip", b"https"))
        self.assertEqual(request.path, b"/.well-known/masque/ip/2001%3Adb8%3A%3A%2F32/132/")
        self.assertEqual(request.get(b"capsule-protocol"), b"?1")

    def test_everythingIsAskedForAsOthersWriteIt(self) -> None:
        for path in (b"*/*", b"%2A/%2a", b"%2A/*"):
            self.assertEqual(asked(b"/.well-known/masque/ip/" + path + b"/"), ("*", None))

    def test_variablesMayBeLeftOut(self) -> None:
        for path, wanted in (
            (b"/ip", ("*", None)),
            (b"/ip?target=192.0.2.0%2F24", ("192.0.2.0/24", None)),
            (b"/ip?ipproto=17", ("*", 17)),
            (b"/ip?target=db.hermes&ipproto=*", ("db.hermes", None)),
        ):
            self.assertEqual(asked(path, OWN), wanted)
        self.assertEqual(asked(b"/vpn", STATIC), ("*", None))

    def test_malformedOnesAreBadRequests(self) -> None:
        for path in (
            b"192.0.2.0%2F33/*",
            b"192.0.2.256/*",
            b"db.hermes%2F24/*",
            b"fe80%3A%3A1%25eth0/*",
            b"%20/*",
            b"a%00/*",
            b"*/256",
            b"*/tcp",
            b"*/-1",
            b"%2A%2A/6",
        ):
            with self.subTest(path=path):
                self.assertRaises(BadRequest, recognise, head(b"/.well-known/masque/ip/" + path + b"/"))
        self.assertRaises(BadRequest, recognise, RequestHead(b"CONNECT", b"https", b"", b"/", b"connect-ip"))

    def test_otherPathsAreUnknown(self) -> None:
        for path in (b"/", b"/.well-known/masque/ip/*/", b"/.well-known/masque/ip/10.0.0.0/8/*/", b"/vpn"):
            self.assertRaises(PathUnknown, recognise, head(path))

    def test_aTemplateWithoutAPlaceForItTakesNothingButEverything(self) -> None:
        self.assertEqual(connectIPHead("*", None, b"p", pathTemplate=STATIC).path, b"/vpn")
        self.assertRaises(BadRequest, connectIPHead, "db.hermes", None, b"p", pathTemplate=STATIC)
        onlyTarget = PathTemplate("/to/{target}", required=())
        self.assertRaises(BadRequest, connectIPHead, "db.hermes", 6, b"p", pathTemplate=onlyTarget)
        self.assertEqual(connectIPHead("db.hermes", None, b"p", pathTemplate=onlyTarget).path, b"/to/db.hermes")

    def test_aProxyAnswers401(self) -> None:
        self.assertTrue(Kind.CONNECT_IP.templated)

    @settings(deadline=None)
    @given(st.binary(max_size=80))
    def test_noPathBreaksRecognition(self, path: bytes) -> None:
        for prefix in (b"", b"/.well-known/masque/ip/", b"/ip?target="):
            try:
                recognise(head(prefix + path), Templates(ip=(OWN,)))
                recognise(head(prefix + path))
            except FlowError as error:
                self.assertIn(error.status, (400, 404))
