"""
The C{proxy} listener with curl.
"""

from __future__ import annotations

from shutil import which

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from hermes.test.fabric.loopbackproxy import Loopback
from hermes.values import Identity


class CurlTests(Loopback):
    """
    The real curl.
    """

    curl = which("curl")
    skip = None if curl else "curl is not installed"

    async def fetch(self, *arguments: str) -> tuple[str, int]:
        assert self.curl is not None
        # Not what the environment of the test says.
        options = ("-sS", "--max-time", "20", "--noproxy", "", *arguments)
        output, errors, status = await getProcessOutputAndValue(self.curl, options, env={}, reactor=reactor)
        return (output + errors).decode(), status

    async def test_absoluteForm(self) -> None:
        origin, proxy = await self.start()
        text, status = await self.fetch("-x", f"http://{proxy}", f"{origin}/a", f"{origin}/b")
        self.assertEqual((text, status), ("GET /a via 1.1: GET /b via 1.1: ", 0))
        self.assertEqual((self.protocols(), len(self.dialer.transports)), (["http", "http"], 1))

    async def test_anUpload(self) -> None:
        origin, proxy = await self.start()
        body = "x" * 100_000
        text, status = await self.fetch("-x", f"http://{proxy}", "--data-binary", body, f"{origin}/a")
        self.assertEqual((text, status), (f"POST /a via 1.1: {body}", 0))

    async def test_bodiesThatFillEveryBufferOnTheWay(self) -> None:
        origin, proxy = await self.start()
        path = self.mktemp()
        with open(path, "wb") as file:
            file.truncate(16 << 20)
        for arguments in (("-x", f"http://{proxy}"), ("-p", "-x", f"http://{proxy}"), ("-x", f"socks5h://{proxy}")):
            for framing in ((), ("-H", "Transfer-Encoding: chunked")):
                size, status = await self.fetch(
                    *(*arguments, *framing, "-T", path, "-o", f"{path}.back", "-w", "%{size_download}", f"{origin}/a")
                )
                self.assertEqual((int(size) >> 20, status), (16, 0))

    async def test_connect(self) -> None:
        origin, proxy = await self.start()
        text, status = await self.fetch("-p", "-x", f"http://{proxy}", f"{origin}/a")
        self.assertEqual((text, status), ("GET /a via -: ", 0))
        self.assertEqual(self.protocols(), ["tcp"])

    async def test_socks5(self) -> None:
        origin, proxy = await self.start()
        text, status = await self.fetch("--socks5-hostname", proxy, f"{origin}/a")
        self.assertEqual((text, status), ("GET /a via -: ", 0))
        self.assertEqual(self.protocols(), ["tcp"])

    async def test_users(self) -> None:
        origin, proxy = await self.start(anonymous=False)
        for arguments in (("-x", f"http://{proxy}"), ("-p", "-x", f"http://{proxy}"), ("-x", f"socks5h://{proxy}")):
            text, status = await self.fetch("-f", *arguments, f"{origin}/a")
            self.assertNotEqual(status, 0, text)
            text, status = await self.fetch("-f", *arguments, "--proxy-user", "alice:secret", f"{origin}/a")
            self.assertEqual(status, 0, text)
        self.assertEqual(self.observer.events[-1][1].flow.identity, Identity(user="alice"))
