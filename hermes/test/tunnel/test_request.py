"""
Recognising and asking for tunnels.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import BadRequest, FlowError
from hermes.tunnel.request import (
    Kind,
    PathUnknown,
    Templates,
    TunnelRequest,
    acceptHead,
    connectHead,
    connectTCPHead,
    connectUDPHead,
    listenHead,
    recognise,
)
from hermes.values import RequestHead, Target
from hermes.wire.template import PathTemplate

TARGETS = [Target("db.hermes", 3306), Target("192.0.2.7", 1), Target("2001:db8::1", 65535)]


def _extended(protocol: bytes, path: bytes) -> RequestHead:
    return RequestHead(b"CONNECT", b"https", b"proxy.example", path, protocol)


class RecognitionTests(SynchronousTestCase):
    """
    L{recognise} and the heads.
    """

    def test_whatIsAskedForIsRecognised(self) -> None:
        for target in TARGETS:
            self.assertEqual(recognise(connectHead(target)), TunnelRequest(Kind.CONNECT, target))
            self.assertEqual(recognise(connectTCPHead(target, b"p")), TunnelRequest(Kind.CONNECT_TCP, target))
            self.assertEqual(recognise(connectUDPHead(target, b"p")), TunnelRequest(Kind.CONNECT_UDP, target))
            self.assertEqual(recognise(listenHead(target, b"p")), TunnelRequest(Kind.LISTEN, target))

    def test_anyPortCanBeAskedForToListen(self) -> None:
        target = Target("127.0.0.1", 0)
        self.assertEqual(recognise(listenHead(target, b"p")), TunnelRequest(Kind.LISTEN, target))

    def test_aListenerIsNamedByItsId(self) -> None:
        request = recognise(acceptHead("a" * 32, b"p"))
        assert request is not None
        self.assertEqual((request.kind, request.listener), (Kind.ACCEPT, "a" * 32))
        self.assertRaises(BadRequest, recognise, _extended(b"hermes-accept", b"/.well-known/hermes/accept/%2e%2e/"))

    def test_headsAreThoseOfTheStandards(self) -> None:
        target = Target("2001:db8::1", 443)
        self.assertEqual(connectHead(target), RequestHead(b"CONNECT", authority=b"[2001:db8::1]:443"))
        head = connectUDPHead(target, b"proxy.example")
        self.assertEqual(head.protocol, b"connect-udp")
        self.assertEqual(head.path, b"/.well-known/masque/udp/2001%3Adb8%3A%3A1/443/")
        self.assertEqual(head.get(b"capsule-protocol"), b"?1")

    def test_otherMethodsAreNoTunnels(self) -> None:
        self.assertIsNone(recognise(RequestHead(b"GET", b"https", b"example.org", b"/")))

    def test_malformedTargetsAreBadRequests(self) -> None:
        for authority in (
            b"",
            b"host",
            b"host:",
            b"host:0",
            b"host:65536",
            b"u@host:1",
            b"a b:1",
            b"::1:80",
            b"[fe80::1%25e]:1",
        ):
            with self.subTest(authority=authority):
                self.assertRaises(BadRequest, recognise, RequestHead(b"CONNECT", authority=authority))
        for target in (b"host/0", b"host/99999", b"host/1x", b"%20/1", b"fe80%3A%3A1%25eth0/1", b"a%2Fb/1"):
            with self.subTest(target=target):
                head = _extended(b"connect-udp", b"/.well-known/masque/udp/" + target + b"/")
                self.assertRaises(BadRequest, recognise, head)

    def test_anExtendedConnectNeedsSchemeAuthorityAndPath(self) -> None:
        self.assertRaises(BadRequest, recognise, RequestHead(b"CONNECT", b"https", b"", b"/", b"connect-udp"))

    def test_unknownProtocolsAndPathsAreToldApart(self) -> None:
        self.assertIsNone(recognise(_extended(b"websocket", b"/chat")))
        self.assertRaises(PathUnknown, recognise, _extended(b"connect-udp", b"/elsewhere"))
        self.assertEqual(PathUnknown.status, 404)

    def test_aTemplateOfOnesOwnIsServed(self) -> None:
        own = PathTemplate("/masque{?target_host,target_port}")
        head = connectUDPHead(TARGETS[0], b"p", pathTemplate=own)
        self.assertEqual(recognise(head, Templates(udp=(own,))), TunnelRequest(Kind.CONNECT_UDP, TARGETS[0]))
        self.assertRaises(PathUnknown, recognise, head)

    @settings(deadline=None)
    @given(
        st.binary(max_size=80), st.sampled_from([b"connect-tcp", b"connect-udp", b"hermes-listen", b"hermes-accept"])
    )
    def test_noPathBreaksRecognition(self, path: bytes, protocol: bytes) -> None:
        for prefix in (b"", b"/.well-known/masque/udp/", b"/.well-known/hermes/listen/tcp/"):
            try:
                recognise(_extended(protocol, prefix + path))
            except FlowError as error:
                self.assertIn(error.status, (400, 404))

    @settings(deadline=None)
    @given(st.binary(max_size=40))
    def test_noAuthorityBreaksRecognition(self, authority: bytes) -> None:
        try:
            recognise(RequestHead(b"CONNECT", authority=authority))
        except FlowError as error:
            self.assertEqual(error.status, 400)
