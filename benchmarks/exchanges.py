"""
What is measured of HTTP exchanges: client, HTTP/1.1, first proxy, HTTP/2, second proxy, HTTP/1.1, origin.

Client and origin are C{native/client.c} and C{native/origin.c}; what they say is in C{native/requests.h} and
C{native/origin.c}, and how both sides are configured in L{httpsides}.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen
from harness import Load, Measure, Outcome, Run, native
from httpsides import EnvoyHTTP, HermesHTTP, certify
from sides import Side, freePort

TRIP = 0.02
"""
Seconds of the round trip of the long path.
"""
TIMES = ("p50", "p90", "p99", "max")


@frozen
class Stage:
    """
    An origin, and a pair before it.

    @ivar direct: the port where clients reach the origin without the pair, over the long path where there is one.
    @ivar certificate: what clients trust.
    """

    side: Side
    origin: Load
    direct: int
    certificate: Path


@contextmanager
def stage(
    make: type[Side],
    cores: tuple[int, int],
    *,
    fillers: int = 0,
    tls: bool = False,
    entry: bool = False,
    trip: float = 0,
    tell: bool = False,
) -> Iterator[Stage]:
    """
    @param fillers: how many routes come before those that take the requests.
    @param tell: whether the origin tells how many requests hang.
    @param trip: seconds of a round trip between the proxies, and between client and origin without them.
    """
    port = freePort()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        certificate = directory / "shop.pem"
        more: dict[str, object] = {"tell": int(tell)}
        if tls:
            certify(directory)
            more |= {"certificate": certificate, "key": directory / "shop.key"}
        origin = stack.enter_context(native(1, "origin", port=port, **more))
        assert origin.line() == "ready\n"

        def between(target: int) -> int:
            if not trip:
                return target
            entrance = freePort()
            link = stack.enter_context(native(1, "link", port=entrance, target=target, trip=trip))
            assert link.line() == "ready\n"
            return entrance

        side = make(directory, port, cores)
        side.fillers = fillers
        try:
            side.startHTTP(tls, entry, between)
            yield Stage(side, origin, between(port), certificate)
        except Exception:
            print(side.logs(), file=sys.stderr)
            raise
        finally:
            side.stop()


def ask(port: int, mode: str, connections: int, **more: object) -> dict[str, Any]:
    """
    What a client tells, once it is done.
    """
    with native(0, "client", port=port, mode=mode, connections=connections, **more) as client:
        if mode == "loop":
            assert client.line() == "begun\n"
        return client.answer()


_direct: dict[int, float] = {}


def direct(port: int, concurrency: int) -> float:
    """
    Requests a second without proxies: that the load is not what is measured. Once a run is enough.
    """
    if concurrency not in _direct:
        result = ask(port, "loop", concurrency, seconds=1)
        _direct[concurrency] = result["requests"] / result["seconds"]
    return _direct[concurrency]


def rate(concurrency: int) -> Run:
    """
    Requests a second: each of so many connections asks again as soon as it is answered. Beside it the distribution of
    the time to the whole response, what the proxies use of their cores, and the rate without them.
    """

    def run(make: type[Side], cores: tuple[int, int], seconds: float) -> Outcome:
        with stage(make, cores) as on:
            alone = direct(on.direct, concurrency)
            load = {"port": on.side.port, "mode": "loop", "connections": concurrency, "seconds": seconds}
            with native(0, "client", **load, warm=1) as client:
                assert client.line() == "begun\n"
                before = on.side.cpus()
                result = client.answer()
                after = on.side.cpus()
        done = result["requests"]
        second, first = ((late - early) * 1e6 / done for early, late in zip(before, after, strict=True))
        return Outcome(
            done / result["seconds"],
            {
                **{f"{name}, ms": result[name] / 1e3 for name in TIMES},
                "A, CPU us/request": first,
                "B, CPU us/request": second,
                "direct, requests/s": alone,
            },
        )

    return run


def latency(make: type[Side], cores: tuple[int, int], seconds: float) -> Outcome:
    """
    What a pair adds to the time from a request to its whole response, one at a time: the distribution through the pair
    less that of the same client straight to the origin, just before.
    """
    with stage(make, cores) as on:
        straight = ask(on.direct, "loop", 1, seconds=seconds / 2)
        through = ask(on.side.port, "loop", 1, seconds=seconds)
    details = {f"{name} added": through[name] - straight[name] for name in TIMES}
    details |= {f"{name} through": through[name] for name in TIMES}
    details |= {f"{name} direct": straight[name] for name in TIMES}
    return Outcome(through["p50"] - straight["p50"], details)


def manyRoutes(fillers: int) -> Run:
    """
    CPU of both proxies for a request at 100 concurrent, with so many routes before those that take the requests, as a
    multiple of that without them.
    """

    def run(make: type[Side], cores: tuple[int, int], seconds: float) -> Outcome:
        costs = []
        for number in (0, fillers):
            with stage(make, cores, fillers=number) as on:
                load = {"port": on.side.port, "mode": "loop", "connections": 100, "seconds": seconds}
                with native(0, "client", **load) as client:
                    assert client.line() == "begun\n"
                    before = on.side.cpu()
                    result = client.answer()
                    costs.append((on.side.cpu() - before) * 1e6 / result["requests"])
        few, many = costs
        return Outcome(many / few, {"few, CPU us/request": few, "many, CPU us/request": many})

    return run


def idleMemory(connections: int) -> Run:
    """
    Resident memory of both proxies for each client connection that has asked once and stands idle.
    """

    def run(make: type[Side], cores: tuple[int, int], seconds: float) -> float:
        with stage(make, cores) as on:
            ask(on.side.port, "loop", 100, seconds=0.5)
            before = on.side.memory()
            with native(0, "client", port=on.side.port, mode="hold", connections=connections) as client:
                client.answer()
                time.sleep(1)
                return (on.side.memory() - before) / connections / 1024

    return run


def openMemory(requests: int) -> Run:
    """
    Resident memory of both proxies for each request whose origin does not answer: a client's connection, a stream
    between the proxies, a connection to the origin.
    """

    def run(make: type[Side], cores: tuple[int, int], seconds: float) -> float:
        with stage(make, cores, tell=True) as on:
            ask(on.side.port, "loop", 100, seconds=0.5)
            before = on.side.memory()
            with native(0, "client", port=on.side.port, mode="hold", connections=requests, path="/hang") as client:
                while int(on.origin.line()) < requests:
                    if client.process.poll() is not None:
                        raise RuntimeError("not all requests reached the origin")
                time.sleep(1)
                return (on.side.memory() - before) / requests / 1024

    return run


def longPath(requests: int, entry: bool) -> Run:
    """
    So many requests at the same time over a path of 20 ms a round trip. Direct, as plain clients do: a connection to
    the origin for each, TLS, one request. Through the pair: a connection to the proxy beside the client for each, one
    request; the proxies multiplex them on the connection that stands between them, over TLS, and the second has a pool
    of connections to the origin, over TLS. Both are warm.

    The number is how many times as long all of it takes direct. In each round, direct goes first, and the sides take
    turns.

    @param entry: whether the client speaks TLS to the proxy beside it too, with a handshake for each request, which
        that proxy then pays; else in the clear, on its own host.
    """

    def run(make: type[Side], cores: tuple[int, int], seconds: float) -> Outcome:
        with stage(make, cores, tls=True, entry=entry, trip=TRIP) as on:
            trust = {"trust": on.certificate}
            secure = trust if entry else {}
            ask(on.side.port, "burst", requests, **secure)
            straight, through = (
                ask(port, "once", requests, **more) for port, more in ((on.direct, trust), (on.side.port, secure))
            )
        details: dict[str, float] = {}
        for way, result in (("direct", straight), ("through", through)):
            details |= {f"{way}, total ms": result["seconds"] * 1e3}
            details |= {f"{way}, {name} ms": result[name] / 1e3 for name in ("p50", "p99")}
        return Outcome(straight["seconds"] / through["seconds"], details)

    return run


SIDES = (HermesHTTP, EnvoyHTTP)
MEASURES = [
    *(Measure(f"http-{number}", "requests/s", "more", rate(number), SIDES) for number in (1, 100, 1000)),
    Measure("http-latency", "us added, p50", "less", latency, SIDES),
    Measure("http-routes", "times the CPU, 10,000 routes", "less", manyRoutes(10_000), SIDES),
    Measure("http-memory", "KiB/connection, 10,000 idle", "less", idleMemory(10_000), SIDES),
    Measure("http-memory-open", "KiB/request, 1,000 open", "less", openMemory(1000), SIDES),
    Measure("concurrent-1000", "times as fast as direct", "more", longPath(1000, False), SIDES),
    Measure("concurrent-1000-tls", "times as fast as direct", "more", longPath(1000, True), SIDES),
]
