"""
What is measured of fetching an object by name: 25 MB in 3,125 segments, by a program of python-ndn that has twenty
Interests on their way, from another. Both check and sign by SHA-256.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness import Load, Measure, Outcome
from ndnexchanges import unfit
from peers import Envoy, Hermes
from sides import Side, freePort

LOADS = str(Path(__file__).parent / "ndnfetchloads.py")
SIZE = 25_000_000
ROUNDS = 3
"""
Objects that are fetched one after the other; the fastest counts, as the others tell what else the machine does.
"""


@contextmanager
def load(core: int, role: str, **arguments: object) -> Iterator[Load]:
    """
    A role of L{ndnfetchloads} while it is needed.
    """
    running = Load(core, [sys.executable, LOADS, role], **arguments)
    try:
        yield running
    finally:
        running.stop()


class HermesChain(Hermes):
    """
    Three nodes in a row, with mutual TLS between them. Programs are at the first and at the last, each of which has a
    forwarder; the one in the middle carries the tunnel between their faces.
    """

    name = "hermes"
    hops = 3
    tls = True

    def startFetch(self, core: int) -> None:
        """
        @param core: where what is in the middle runs: with the producer, as the consumer has most to do.
        """
        names = [f"node{number}" for number in range(self.hops)]
        ports = {name: freePort() for name in names}
        if self.tls:
            from hermes.net.authority import OverlayAuthority

            authority = OverlayAuthority.create(str(self.directory))
            for name in names:
                authority.issue(name)
        cores = {names[0]: self.cores[0], names[-1]: self.cores[1]}
        for number, name in reversed(list(enumerate(names))):
            document = self.node(names, number, ports)
            self.spawnNode(document, cores.get(name, core))
            if number:
                self.awaitPort(ports[name])
        self.port = freePort()
        self.consumerFace = f"unix:{self.directory}/{names[0]}.sock"
        self.producerFace = f"unix:{self.directory}/{names[-1]}.sock"
        self.prefix = "/bench"
        self.awaitSockets([f"{names[0]}.sock", f"{names[-1]}.sock"])

    def node(self, names: list[str], number: int, ports: dict[str, int]) -> dict[str, Any]:
        """
        The configuration of a node.
        """
        name = names[number]
        secure = {} if self.tls else {"tls": False, "anonymous": True}
        listeners: dict[str, Any] = {}
        routes: list[Any] = []
        upstreams: dict[str, Any] = {}
        if number:
            listeners["overlay"] = {"type": "tunnel", "bind": f"127.0.0.1:{ports[name]}", **secure}
        if number in (0, len(names) - 1):
            listeners["names"] = {"type": "ndn", "bind": [f"unix:{self.directory}/{name}.sock"]}
        if number + 1 < len(names):
            following = names[number + 1]
            hop: dict[str, Any] = {"endpoints": [f"127.0.0.1:{ports[following]}"]}
            hop |= {"type": "hermes"} if self.tls else {"type": "masque", "tls": False, "version": "2"}
            upstreams[following] = hop
            routes.append({"match": {"any": True}, "via": [following]})
        else:
            routes.append({"match": {"target": "*.ndn.hermes"}, "to": "names"})
        if number == 0 and len(names) > 1:
            listeners["names"] |= {
                "faces": {"far": {"to": "udp:far.ndn.hermes"}},
                "prefixes": [{"prefix": "/bench", "face": "far"}],
            }
        document: dict[str, Any] = {
            "node": name,
            "listeners": listeners,
            "upstreams": upstreams,
            "routes": routes,
            "accessLog": {"path": f"{self.directory}/{name}.access"},
        }
        if self.tls:
            document["identity"] = {"certificate": f"{name}.pem", "key": f"{name}.key", "trust": "overlay-ca.pem"}
        return document

    def awaitSockets(self, names: list[str]) -> None:
        """
        Wait until somebody listens.
        """
        import time

        deadline = time.monotonic() + 120
        for name in names:
            while time.monotonic() < deadline:
                with socket.socket(socket.AF_UNIX) as probe:
                    if probe.connect_ex(str(self.directory / name)) == 0:
                        break
                if any(process.poll() is not None for process in self.processes):
                    raise SystemExit(f"{self.name} did not start to listen:\n{self.logs()}")
                time.sleep(0.05)


class HermesBatch(HermesChain):
    """
    The same with C{--scheduling batch}.
    """

    batches = True


class HermesClear(HermesChain):
    """
    The same without TLS.
    """

    tls = False


class HermesOne(HermesChain):
    """
    One node, to which both programs connect.
    """

    hops = 1
    tls = False


class EnvoyUDP(Envoy):
    """
    The prototype's way: the consumer's UDP face sends into a pair of Envoys, CONNECT-UDP in the clear between them,
    and they to the producer's.
    """

    name = "envoy"

    def startFetch(self, core: int) -> None:
        """
        Start the pair.
        """
        self.target = freePort(socket.SOCK_DGRAM)
        self.start("udp")
        self.consumerFace = f"udp:127.0.0.1:{self.port}"
        self.producerFace = f"udp-listen:127.0.0.1:{self.target}"
        self.prefix = "/bench"


class EnvoyBatch(EnvoyUDP):
    """
    The same, scheduled in batches.
    """

    batches = True


class Direct(Side):
    """
    Nothing in between: the consumer's Unix face is connected to the producer's.
    """

    name = "direct"

    def startFetch(self, core: int) -> None:
        """
        Nothing to start.
        """
        path = f"{self.directory}/direct.sock"
        self.consumerFace = f"unix:{path}"
        self.producerFace = f"unix-listen:{path}"
        self.prefix = "/bench"


class HermesLossy(HermesChain):
    """
    Two nodes, with a UDP face between them over a link that loses 2 % of all datagrams, in fragments of 1,400 bytes
    and with reliability.
    """

    hops = 2
    tls = False

    def startFetch(self, core: int) -> None:
        self.udp = freePort(socket.SOCK_DGRAM)
        self.link = lossyLink(self, core, self.udp)
        super().startFetch(core)

    def node(self, names: list[str], number: int, ports: dict[str, int]) -> dict[str, Any]:
        path = f"unix:{self.directory}/{names[number]}.sock"
        far = {"to": f"udp:127.0.0.1:{self.link}", "direct": True, "mtu": 1400, "reliability": True}
        listener: dict[str, Any] = {"type": "ndn", "bind": [path], "mtu": 1400}
        if number:
            listener["bind"].append(f"udp:127.0.0.1:{self.udp}")
        else:
            listener |= {"faces": {"far": far}, "prefixes": [{"prefix": "/bench", "face": "far"}]}
        overlay = {"type": "tunnel", "bind": f"127.0.0.1:{ports[names[number]]}", "tls": False, "anonymous": True}
        return {
            "node": names[number],
            "listeners": {"names": listener, "overlay": overlay},
            "routes": [{"match": {"any": True}, "deny": "no"}],
        }


class LossyUDP(Side):
    """
    The consumer's UDP face over the same link to the producer's: who loses a packet asks again.
    """

    name = "python-ndn"

    def startFetch(self, core: int) -> None:
        """
        Start the link.
        """
        target = freePort(socket.SOCK_DGRAM)
        self.consumerFace = f"udp:127.0.0.1:{lossyLink(self, core, target)}"
        self.producerFace = f"udp-listen:127.0.0.1:{target}"
        self.prefix = "/bench"


def lossyLink(side: Side, core: int, port: int) -> int:
    """
    A link to a port.

    @return: where it is.
    """
    here = freePort(socket.SOCK_DGRAM)
    link = ["--to", f"127.0.0.1:{port}", "--bind", f"127.0.0.1:{here}", "--loss", "0.02", "--delay", "2ms"]
    side.spawn(core, sys.executable, "-m", "hermes.testing.links", "datagram", *link)
    side.awaitPort(here, socket.SOCK_DGRAM)
    return here


def fetch(make: Callable[..., Any], cores: tuple[int, int], seconds: float) -> Outcome:
    """
    Megabytes (10^6 bytes) of the object a second.
    """
    return fetched(make, cores, SIZE, ROUNDS)


def fetchLarge(make: Callable[..., Any], cores: tuple[int, int], seconds: float) -> Outcome:
    """
    The same for 50 MB, once.
    """
    return fetched(make, cores, 2 * SIZE, 1)


def fetchLossy(make: Callable[..., Any], cores: tuple[int, int], seconds: float) -> Outcome:
    """
    The same for 25 MB, once.
    """
    return fetched(make, cores, SIZE, 1)


def fetched(make: Callable[..., Any], cores: tuple[int, int], size: int, rounds: int) -> Outcome:
    with TemporaryDirectory() as directory:
        side = make(Path(directory), 0, cores)
        try:
            side.startFetch(1)
            with load(1, "producer", face=side.producerFace, prefix=side.prefix, size=size, rounds=rounds) as producer:
                producer.answer()
                before = side.cpu()
                with load(0, "consumer", face=side.consumerFace, prefix=side.prefix, size=size, rounds=rounds) as one:
                    results = one.answer()["rounds"]
                used = side.cpu() - before
        except Exception:
            print(side.logs(), file=sys.stderr)
            raise
        finally:
            side.stop()
    best = min(results, key=lambda result: result["seconds"])
    details = {
        "asked again": sum(result["again"] for result in results),
        "proxies' CPU, s": used / rounds,
        "slowest round": size / 1e6 / max(result["seconds"] for result in results),
    }
    return Outcome(size / 1e6 / best["seconds"], details)


MEASURES = [
    Measure("ndn-fetch-25mb", "MB/s", "more", fetch, (HermesChain, EnvoyUDP), unfit),
    Measure("ndn-fetch-25mb-batch", "MB/s", "more", fetch, (HermesBatch, EnvoyBatch), unfit),
    Measure("ndn-fetch-50mb", "MB/s", "more", fetchLarge, (HermesChain, EnvoyUDP), unfit),
    Measure("ndn-fetch-25mb-clear", "MB/s", "more", fetch, (HermesClear, EnvoyUDP), unfit),
    Measure("ndn-fetch-25mb-one", "MB/s", "more", fetch, (HermesOne, Direct), unfit),
    Measure("ndn-fetch-25mb-lossy", "MB/s", "more", fetchLossy, (HermesLossy, LossyUDP), unfit),
]
"""
Three nodes beside the prototype's way, with mutual TLS and without; one node beside none; a link that loses. All as
they come, and once both sides in batches.
"""
