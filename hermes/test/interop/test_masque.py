"""
libcurl, from pycurl, as a MASQUE client (RFC 9298) with QUIC inside.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from io import BytesIO
from typing import Any
from unittest import SkipTest

from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.static import Data

from hermes.test.interop.local import Local
from hermes.test.interop.process import Process
from hermes.test.interop.processes import Node, ProcessCase, proxy

try:
    import pycurl
except ImportError:
    pycurl = None

HTTPS, HTTPS2 = 2, 3
"""
C{CURLPROXY_HTTPS} and C{CURLPROXY_HTTPS2}, for which pycurl has no names.
"""


class LibcurlTests(ProcessCase):
    """
    libcurl opens CONNECT-UDP by HTTP/1.1's Upgrade and speaks QUIC through it.
    """

    def setUp(self) -> None:
        if pycurl is None:
            raise SkipTest("pycurl is not installed")
        if not hasattr(pycurl, "CURL_HTTP_VERSION_3ONLY"):
            raise SkipTest("pycurl's libcurl speaks no HTTP/3")
        super().setUp()
        self.local = Local(self)

    async def fetch(self, url: str, proxyURL: str, **options: Any) -> tuple[int, bytes]:
        """
        Fetch by HTTP/3 through a proxy.

        @return: how libcurl ended, and the body.
        """
        body = BytesIO()
        curl = pycurl.Curl()
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.PROXY, proxyURL)
        curl.setopt(pycurl.NOPROXY, "")
        curl.setopt(pycurl.HTTPPROXYTUNNEL, True)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_3ONLY)
        curl.setopt(pycurl.CAINFO, self.authority.trustFile)
        curl.setopt(pycurl.PROXY_CAINFO, self.authority.trustFile)
        curl.setopt(pycurl.WRITEFUNCTION, body.write)
        curl.setopt(pycurl.NOSIGNAL, True)
        curl.setopt(pycurl.TIMEOUT, 20)
        for name, value in options.items():
            curl.setopt(getattr(pycurl, name), value)

        def perform() -> int:
            try:
                curl.perform()
            except pycurl.error as error:
                return int(error.args[0])
            finally:
                curl.close()
            return 0

        return await deferToThread(perform), body.getvalue()

    async def http3Server(self) -> int:
        """
        Start an HTTP/3 server.

        @return: its port.
        """
        if find_spec("aioquic") is None:
            raise SkipTest("aioquic is not installed")
        identity = self.identity("origin")
        server = Process("http3server")
        module = "hermes.test.interop.http3server"
        self.run_(server, [sys.executable, "-m", module, identity["certificate"], identity["key"]])
        return int((await server.said(r"^port (\d+)$"))[1])

    async def edge(self) -> tuple[Node, Node]:
        """
        Start two nodes.
        """
        return await self.pair({"apps": proxy(), "secure": proxy(tls=True)})

    async def test_itsInitialPacketsReachTheTarget(self) -> None:
        edge, exit = await self.edge()
        target = self.local.datagrams()
        # Nobody answers it: it ends once its time is over.
        ended = self.fetch(f"https://127.0.0.1:{target.port}/", f"http://{edge.address('apps')}", TIMEOUT_MS=700)
        status, _ = await ended
        self.assertEqual(status, pycurl.E_OPERATION_TIMEDOUT)
        packets = [datagram for datagram, _ in target.received]
        self.assertGreater(len(packets), 0)
        for packet in packets:
            # A long header with its fixed bit, type Initial, version 1; and never below 1,200 bytes (RFC 9000 section
            # 14.1): not split, not joined.
            self.assertEqual((packet[0] & 0xF0, packet[1:5]), (0xC0, b"\0\0\0\1"))
            self.assertGreaterEqual(len(packet), 1200)
        flow = await exit.flow(event="closed", protocol="udp")
        self.assertEqual((flow["datagramsIn"], flow["node"]), (len(packets), "edge"))
        self.assertEqual((await edge.flow(event="closed"))["target"], f"127.0.0.1:{target.port}")

    async def test_anHTTP3ServerAnswers(self) -> None:
        port = await self.http3Server()
        edge, exit = await self.edge()
        url = f"https://localhost:{port}"
        for proxyURL in (f"http://{edge.address('apps')}", f"https://{edge.address('secure')}"):
            self.assertEqual(await self.fetch(f"{url}/hello", proxyURL), (0, b"/hello"))
            self.assertEqual(await self.fetch(f"{url}/big", proxyURL), (0, b"/big" * 20_000))
        flow = await exit.flow(event="closed", protocol="udp")
        self.assertEqual(flow["target"], f"localhost:{port}")

    async def test_aTunnelListenerTakesItByCredentialAndByCertificate(self) -> None:
        port = await self.http3Server()
        exit = await self.node(
            "exit",
            identity=self.identity("exit"),
            listeners={"overlay": {"type": "tunnel", "bind": "127.0.0.1:0"}},
            users={"alice": {"password": "wonder"}},
            routes=[
                {"match": {"user": "alice"}, "allowSpecial": True},
                {"match": {"node": "curl"}, "allowSpecial": True},
            ],
        )
        curl = self.identity("curl")
        alice = {"PROXYTYPE": HTTPS, "PROXYUSERPWD": "alice:wonder"}
        # By HTTP/2 this libcurl sends :protocol behind proxy-authorization, which RFC 9113 section 8.3 forbids: so
        # there it shows a certificate.
        certificate = {"PROXYTYPE": HTTPS2, "PROXY_SSLCERT": curl["certificate"], "PROXY_SSLKEY": curl["key"]}
        wrong = {"PROXYTYPE": HTTPS, "PROXYUSERPWD": "alice:guess"}
        nobody: dict[str, object] = {"PROXYTYPE": HTTPS2}
        url, proxyURL = f"https://localhost:{port}/big", f"https://{exit.address('overlay')}"
        for options in (alice, certificate):
            self.assertEqual(await self.fetch(url, proxyURL, **options), (0, b"/big" * 20_000), options)
        for options in (wrong, nobody):
            status, body = await self.fetch(url, proxyURL, **options)
            self.assertNotEqual((status, body), (0, b"/big" * 20_000))
        await exit.flow(event="closed", node="curl")
        self.assertEqual([(flow["user"], flow["node"]) for flow in exit.flows()], [("alice", None), (None, "curl")])

    async def test_streamsThroughAProxySpokenToByHTTP2(self) -> None:
        body = b"0123456789" * 100_000
        root = Resource()
        root.putChild(b"big", Data(body, "application/octet-stream"))
        port = await self.local.site(root)
        edge = await self.node(
            "edge",
            identity=self.identity("edge"),
            listeners={"secure": proxy(tls=True, anonymous=False)},
            users={"alice": {"password": "wonder"}},
            routes=[{"match": {"user": "alice"}, "allowSpecial": True}],
        )
        options = {"PROXYTYPE": HTTPS2, "PROXYUSERPWD": "alice:wonder", "HTTP_VERSION": pycurl.CURL_HTTP_VERSION_1_1}
        url, proxyURL = f"http://127.0.0.1:{port}/big", f"https://{edge.address('secure')}"
        self.assertEqual(await self.fetch(url, proxyURL, **options), (0, body))
        options["PROXYUSERPWD"] = "alice:guess"
        status, received = await self.fetch(url, proxyURL, **options)
        self.assertNotEqual(status, 0)
        self.assertEqual(received, b"")
        self.assertEqual((await edge.flow(event="closed"))["user"], "alice")

    async def test_whatIsRefusedIsToldBeforeAnyPacket(self) -> None:
        edge = await self.node("edge", listeners={"apps": proxy()}, routes=[{"match": {"any": True}}])
        target = self.local.datagrams()
        url = f"https://127.0.0.1:{target.port}/"
        status, _ = await self.fetch(url, f"http://{edge.address('apps')}")
        self.assertNotIn(status, (0, pycurl.E_OPERATION_TIMEDOUT))
        self.assertEqual(len(target.received), 0)
        self.assertEqual((await edge.flow(event="refused"))["proxyStatus"], "destination_ip_prohibited")
