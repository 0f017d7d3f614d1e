"""
A path of which there is never a whole: three links in a row, exactly one up at a time.
"""

from __future__ import annotations

import hashlib
from random import Random
from typing import Any

from attrs import frozen
from twisted.internet import reactor as theReactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.web.resource import Resource

from hermes.test.interop.local import Local
from hermes.test.interop.process import program
from hermes.test.interop.processes import ProcessCase
from hermes.testing.links import ImpairedStreamLink, Rotation, StreamImpairment

# Its type depends on the platform.
reactor: Any = theReactor

SEED = 6
PERIOD = 1.0
MEGABYTE = 1 << 20
SIZES = (1 * MEGABYTE, 5 * MEGABYTE)

LINK = StreamImpairment(delay=0.005, bandwidth=4e6)
"""
A file of 5 MB does not pass while a link is up once.
"""

DELIVERY: dict[str, Any] = {
    "retry": {
        "on": ["connect", "refused", "reset", "timeout", "gateway"],
        "tries": 1000,
        "backoff": {"first": "20ms", "most": "200ms"},
    },
    "timeout": "90s",
    "resume": {"tries": 1000, "backoff": {"first": "20ms", "most": "200ms"}, "spool": True},
}


class Files(Resource):
    """
    An origin whose files have a strong ETag, and that knows ranges.

    @ivar asked: the C{Range} of each request; L{None} for all.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str | None] = []
        self.files = {b"/%d" % size: Random(SEED + size).randbytes(size) for size in SIZES}

    def render_GET(self, request: Any) -> bytes:
        """
        As RFC 9110 section 14 says.
        """
        data = self.files[request.path]
        etag = b'"%s"' % hashlib.sha256(data).hexdigest().encode()
        asked = request.getHeader(b"range")
        condition = request.getHeader(b"if-range")
        self.asked.append(None if asked is None else asked.decode())
        request.setHeader(b"etag", etag)
        if asked is None or (condition is not None and condition != etag):
            return data
        first, _, last = asked.removeprefix(b"bytes=").partition(b"-")
        begin, end = int(first), int(last) if last else len(data) - 1
        request.setResponseCode(206)
        request.setHeader(b"content-range", b"bytes %d-%d/%d" % (begin, end, len(data)))
        return data[begin : end + 1]


@frozen(eq=False)
class Both:
    """
    One link, as those who use proxies have it and as those who do not.
    """

    proxied: ImpairedStreamLink
    plain: ImpairedStreamLink

    def up(self) -> None:
        self.proxied.up()
        self.plain.up()

    def down(self) -> None:
        self.proxied.down()
        self.plain.down()


class IntermittentTests(ProcessCase):
    """
    Client - p1 = link = p2 = link = p3 = link = origin, and the same without the proxies.
    """

    timeout = 150

    def link(self, port: int) -> ImpairedStreamLink:
        """
        A link to a port of this machine.
        """
        link = ImpairedStreamLink(reactor, ("127.0.0.1", port), LINK, Random(SEED))
        link.start()
        self.addCleanup(link.stop)
        return link

    async def fetch(self, name: str, size: int, *arguments: str) -> bytes | None:
        """
        Fetch a file with curl, which tries once.

        @return: L{None} where that failed.
        """
        path = self.directory / name
        curl = self.start("curl", "-sS", "--max-time", "100", "-o", str(path), *arguments)
        status = await curl.end()
        return path.read_bytes() if status == 0 else None

    async def test_aClientWithoutRetriesGetsEveryFileWhole(self) -> None:
        program("curl")
        origin = Files()
        port = await Local(self).site(origin)
        links = [self.link(port)]
        plain = [self.link(port)]
        for _ in range(2):
            plain.insert(0, self.link(plain[0].address[1]))
        third = await self.node(
            "p3",
            identity=self.identity("p3"),
            listeners={"overlay": {"type": "tunnel", "bind": "127.0.0.1:0"}},
            upstreams={"files": {"type": "direct", "endpoints": [f"127.0.0.1:{links[0].address[1]}"]}},
            routes=[{"match": {"protocol": "http", "host": "files.example"}, "to": "files", **DELIVERY}],
        )
        links.insert(0, self.link(third.ports["overlay"]))
        second = await self.node(
            "p2",
            identity=self.identity("p2"),
            listeners={"overlay": {"type": "tunnel", "bind": "127.0.0.1:0"}},
            upstreams={"p3": {"type": "hermes", "endpoints": [f"127.0.0.1:{links[0].address[1]}"]}},
            routes=[{"match": {"protocol": "http", "host": "files.example"}, "via": ["p3"], **DELIVERY}],
        )
        links.insert(0, self.link(second.ports["overlay"]))
        first = await self.node(
            "p1",
            identity=self.identity("p1"),
            listeners={"apps": {"type": "proxy", "bind": "127.0.0.1:0"}},
            upstreams={"p2": {"type": "hermes", "endpoints": [f"127.0.0.1:{links[0].address[1]}"]}},
            routes=[{"match": {"protocol": "http", "host": "files.example"}, "via": ["p2"], **DELIVERY}],
        )
        random = Random(SEED)
        without: list[Deferred[bytes | None]] = []

        def turned(_: int) -> None:
            # Whichever link has come up: one more client tries without the proxies.
            if len(without) < 12:
                size = random.choice(SIZES)
                url = f"http://127.0.0.1:{plain[0].address[1]}/{size}"
                without.append(Deferred.fromCoroutine(self.fetch(f"without-{len(without)}", size, url)))

        pairs = [Both(*pair) for pair in zip(links, plain, strict=True)]
        rotation = Rotation(reactor, pairs, PERIOD, turned)
        rotation.start()
        self.addCleanup(rotation.stop)

        wanted = [size for size in SIZES for _ in range(2)]
        proxy = ("--proxy", f"http://127.0.0.1:{first.ports['apps']}")
        through = [
            Deferred.fromCoroutine(self.fetch(f"through-{number}", size, *proxy, f"http://files.example/{size}"))
            for number, size in enumerate(wanted)
        ]
        got = await gatherResults(through)
        for size, data in zip(wanted, got, strict=True):
            # Compared by hand: nobody wants to read the difference.
            self.assertTrue(
                data == origin.files[b"/%d" % size], f"not the file of {size} bytes: {(data or b'')[:200]!r}"
            )
        plainly = await gatherResults(without)
        self.assertLess(2 * sum(data is not None for data in plainly), len(plainly))
        # It was not one lucky moment: links went down in the middle of bodies.
        self.assertTrue(any(asked is not None for asked in origin.asked), origin.asked)
