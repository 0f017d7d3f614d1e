"""
Programs that everybody has, as they are: curl, nghttp, h2load, openssl.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal

from twisted.web.resource import Resource
from twisted.web.server import Request
from twisted.web.static import Data

from hermes.test.interop.local import Local
from hermes.test.interop.processes import Node, ProcessCase, proxy, tcp

BODY = os.urandom(1 << 20) * 3
DIGEST = hashlib.sha256(BODY).hexdigest()


class Digest(Resource):
    """
    Tells the digest of what is put there.
    """

    def render_PUT(self, request: Request) -> bytes:
        assert request.content is not None
        return hashlib.sha256(request.content.read()).hexdigest().encode()


class Told(Resource):
    """
    Tells the fields of the request.
    """

    def render_GET(self, request: Request) -> bytes:
        fields = request.requestHeaders.getAllRawHeaders()
        return b"\n".join(name.lower() + b": " + b", ".join(values) for name, values in fields)


def origin() -> Resource:
    """
    A small web site.
    """
    root = Resource()
    root.putChild(b"big", Data(BODY, "application/octet-stream"))
    root.putChild(b"hello", Data(b"hello", "text/plain"))
    root.putChild(b"digest", Digest())
    root.putChild(b"told", Told())
    return root


class CurlTests(ProcessCase):
    """
    curl through two nodes.
    """

    def setUp(self) -> None:
        super().setUp()
        self.local = Local(self)

    async def curl(self, *arguments: str) -> str:
        """
        Run curl.
        """
        return await self.output("curl", "-sS", "--noproxy", "", *arguments)

    async def test_httpAndHTTPSAndSOCKSProxies(self) -> None:
        port = await self.local.site(origin())
        url = f"http://127.0.0.1:{port}"
        edge, exit = await self.pair({"apps": proxy(), "secure": proxy(tls=True)})
        plain, secure = edge.address("apps"), edge.address("secure")
        trust = ("--proxy-cacert", self.authority.trustFile)
        ways = {
            "absolute form": ("-x", f"http://{plain}"),
            "CONNECT": ("-p", "-x", f"http://{plain}"),
            "absolute form over TLS": ("-x", f"https://{secure}", *trust),
            "CONNECT over TLS": ("-p", "-x", f"https://{secure}", *trust),
            "SOCKS5, name": ("-x", f"socks5h://{plain}"),
            "SOCKS5, address": ("-x", f"socks5://{plain}"),
        }
        upload = self.directory / "upload"
        upload.write_bytes(BODY)
        for way, arguments in ways.items():
            path = self.directory / "downloaded"
            # Twice, on one connection to the proxy where there can be one.
            await self.curl(*arguments, f"{url}/big", "-o", str(path), f"{url}/hello", "-o", str(path) + "2")
            self.assertEqual(hashlib.sha256(path.read_bytes()).hexdigest(), DIGEST, way)
            self.assertEqual((self.directory / "downloaded2").read_bytes(), b"hello", way)
            self.assertEqual(await self.curl(*arguments, "-T", str(upload), f"{url}/digest"), DIGEST, way)
        # A connection that is kept for the next request does not keep the node.
        edge.signal(signal.SIGTERM)
        await edge.end()
        self.assertIn("drained", edge.output)
        self.assertEqual({flow["protocol"] for flow in edge.flows()}, {"http", "tcp"})
        seen = {(flow["node"], flow["event"]) for flow in exit.flows()}
        self.assertEqual(seen, {("edge", "closed"), ("edge", "request")})

    async def test_aUserIsAskedAndTheOriginHearsNothingOfIt(self) -> None:
        port = await self.local.site(origin())
        url = f"http://127.0.0.1:{port}/told"
        edge = await self.node(
            "edge",
            listeners={"apps": proxy(anonymous=False)},
            users={"alice": {"password": "wonder"}},
            routes=[{"match": {"user": "alice"}, "allowSpecial": True}],
        )
        address = edge.address("apps")
        for scheme in ("http", "socks5h"):
            told = await self.curl("-x", f"{scheme}://{address}", "--proxy-user", "alice:wonder", url)
            self.assertNotIn("proxy-authorization", told)
            self.assertIn("user-agent: curl/", told)
        told = await self.curl(
            *("-x", f"http://{address}", "--proxy-user", "alice:wonder"),
            *("-H", "X-Forwarded-For: 192.0.2.1", "-H", "Forwarded: for=192.0.2.1", "-H", "Connection: x-hop, close"),
            *("-H", "X-Hop: 1", url),
        )
        self.assertNotIn("192.0.2.1", told)
        self.assertNotIn("x-hop", told)
        status = await self.curl("-o", "/dev/null", "-w", "%{http_code}", "-x", f"http://{address}", url)
        self.assertEqual(status, "407")
        wrong = self.start("curl", "-sS", "-x", f"socks5h://{address}", "--proxy-user", "alice:x", url)
        self.assertNotEqual(await wrong.end(), 0)
        self.assertIn("SOCKS5", wrong.output)

    async def test_whatIsRefusedIsToldAsAnAnswer(self) -> None:
        edge = await self.node("edge", listeners={"apps": proxy()}, routes=[{"match": {"any": True}}])
        address = edge.address("apps")
        head = await self.curl("-i", "-x", f"http://{address}", "http://127.0.0.1:9/")
        self.assertIn("HTTP/1.1 403", head)
        self.assertIn("destination_ip_prohibited", head)
        refused = self.start("curl", "-sS", "-p", "-x", f"http://{address}", "http://db.hermes/")
        self.assertEqual(await refused.end(), 56)
        self.assertIn("502", refused.output)


class HTTP2ToolTests(ProcessCase):
    """
    nghttp, h2load and openssl.
    """

    async def tunnelNode(self, **options: object) -> Node:
        """
        A node with a tunnel listener, for tunnels alone.
        """
        return await self.node(
            "exit",
            identity=self.identity("exit"),
            listeners={"overlay": {"type": "tunnel", "bind": "127.0.0.1:0", **options}},
            routes=[
                {"match": {"protocol": "http"}, "deny": "for tunnels alone"},
                {"match": {"any": True}, "allowSpecial": True},
            ],
        )

    async def test_nghttpGetsAnAnswerAndSeesOurSettings(self) -> None:
        node = await self.tunnelNode(tls=False, anonymous=True)
        url = f"http://{node.address('overlay')}/"
        said = await self.output("nghttp", "-nv", url, "-m", "3")
        self.assertIn("SETTINGS_ENABLE_CONNECT_PROTOCOL(0x08):1", said)
        self.assertEqual(len(re.findall(r":status: 4\d\d", said)), 3, said)
        self.assertNotIn("error_code=PROTOCOL_ERROR", said)
        self.assertNotIn("RST_STREAM", said)

    async def test_h2loadThroughATunnelToAnHTTP2Server(self) -> None:
        # The server behind the tunnel is a node's too.
        server = await self.tunnelNode(tls=False, anonymous=True)
        relay = await self.node(
            "relay",
            listeners={"apps": tcp(server.ports["overlay"])},
            routes=[{"match": {"any": True}, "allowSpecial": True}],
        )
        said = await self.output("h2load", "-n", "300", "-c", "5", "-m", "20", f"http://{relay.address('apps')}/x")
        self.assertIn("300 done, 0 succeeded, 300 failed, 0 errored, 0 timeout", said)
        self.assertIn("300 4xx", said)

    async def test_h2loadOverTLS(self) -> None:
        node = await self.tunnelNode(anonymous=True)
        said = await self.output("h2load", "-n", "200", "-c", "4", "-m", "10", f"https://{node.address('overlay')}/")
        self.assertIn("Application protocol: h2", said)
        self.assertIn("0 errored, 0 timeout", said)
        self.assertIn("200 4xx", said)

    async def test_TLSIsOfTodayAndSpeaksH2(self) -> None:
        node = await self.tunnelNode()
        connect = ("openssl", "s_client", "-connect", node.address("overlay"), "-CAfile", self.authority.trustFile)
        process = self.start(*connect, "-alpn", "h2,http/1.1", "-verify_return_error")
        process.closeInput()
        await process.end()
        self.assertIn("New, TLSv1.3", process.output)
        self.assertIn("ALPN protocol: h2", process.output)
        self.assertIn("Verify return code: 0 (ok)", process.output)
        process = self.start(*connect, "-alpn", "http/1.1", "-tls1_2")
        process.closeInput()
        await process.end()
        self.assertIn("ALPN protocol: http/1.1", process.output)
        self.assertIn("Secure Renegotiation IS supported", process.output)
        for old in ("-tls1", "-tls1_1"):
            # Debian's own policy would not even ask.
            process = self.start(*connect, old, "-cipher", "ALL:@SECLEVEL=0")
            process.closeInput()
            self.assertNotEqual(await process.end(), 0)
            self.assertIn("alert protocol version", process.output)
        process = self.start(*connect, "-tls1_2", "-alpn", "nonsense")
        process.closeInput()
        await process.end()
        self.assertIn("alert", process.output)

    async def test_renegotiationIsRefused(self) -> None:
        node = await self.tunnelNode()
        # Of HTTP/2 its server's SETTINGS would come first, which this client does not expect then.
        process = self.start("openssl", "s_client", "-connect", node.address("overlay"), "-tls1_2", "-alpn", "http/1.1")
        await process.said("Verify return code")
        process.write(b"R\n")
        await process.said("RENEGOTIATING")
        await process.said("no renegotiation")
        await process.kill()
