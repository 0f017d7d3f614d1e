"""
What is measured of Named Data Networking: exchanges through a forwarder, and its lookups.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness import Load, Measure, Outcome
from peers import Hermes
from sides import Side, freePort

LOADS = str(Path(__file__).parent / "ndnloads.py")
TABLES = str(Path(__file__).parent / "ndntables.py")
SIZES = (10, 1_000, 100_000, 1_000_000)
WINDOW = 20
"""
Interests that are on their way at the same time, for programs of python-ndn: the window that they fetch with.
"""

RAW_WINDOW = 200


def unfit() -> str | None:
    """
    What the peer needs.
    """
    try:
        import ndn  # noqa: F401
    except ImportError:
        return "python-ndn is not installed"
    return None


@contextmanager
def load(core: int, role: str, **arguments: object) -> Iterator[Load]:
    """
    A role of L{ndnloads} while it is needed.
    """
    running = Load(core, [sys.executable, LOADS, role], **arguments)
    try:
        yield running
    finally:
        running.stop()


class HermesNDN(Hermes):
    """
    One node with a forwarder, to which both programs connect.
    """

    name = "hermes"

    def startNDN(self, core: int, producer: int) -> None:
        """
        @param producer: the port of what answers, where it does not connect itself.
        """
        self.path = self.directory / "ndn.sock"
        self.port = freePort()
        bind = [f"unix:{self.path}", f"tcp:127.0.0.1:{self.port}"]
        names: dict[str, Any] = {"type": "ndn", "bind": bind, "store": "64MiB"}
        if producer:
            names["faces"] = {"producer": {"to": f"tcp:127.0.0.1:{producer}", "direct": True}}
            names["prefixes"] = [{"prefix": "/bench", "face": "producer"}]
        document = {"node": "a", "listeners": {"names": names}, "routes": [{"match": {"any": True}, "deny": "no"}]}
        self.spawnNode(document, core)
        self.awaitPort(self.port)


class DirectNDN(Side):
    """
    Consumer and producer with nothing in between.
    """

    name = "direct"

    def startNDN(self, core: int, producer: int) -> None:
        self.path = self.directory / "producer.sock"
        self.port = producer


def exchange(make: Callable[..., Any], cores: tuple[int, int], seconds: float) -> Outcome:
    """
    Exchanges a second between two programs of python-ndn, twenty at a time, each for a name of its own and a KiB of
    content: through a node, and with the consumer's face connected to the producer. Beside it, what the node's CPU
    costs; and the same between programs that have made their packets before, 200 at a time, with the node alone on its
    core.
    """
    with TemporaryDirectory() as directory:
        side = make(Path(directory), 0, cores)
        hermes = make is HermesNDN
        try:
            side.startNDN(cores[0], 0)
            with load(1, "producer", path=side.path, direct=int(not hermes)) as producer:
                producer.answer()
                with load(0, "consumer", path=side.path, window=WINDOW, seconds=seconds) as consumer:
                    consumer.answer()
                    before = side.cpu()
                    result = consumer.answer()
                    after = side.cpu()
        except Exception:
            print(side.logs(), file=sys.stderr)
            raise
        finally:
            side.stop()
    details = {"failed": result["failed"], "node, CPU us/exchange": (after - before) * 1e6 / max(1, result["done"])}
    return Outcome(result["done"] / result["seconds"], details | raw(make, seconds))


def raw(make: Callable[..., Any], seconds: float) -> dict[str, float]:
    with TemporaryDirectory() as directory:
        port = freePort()
        with load(1, "raw-producer", port=port) as producer:
            producer.answer()
            side = make(Path(directory), 0, (0, 1))
            try:
                side.startNDN(0, port)
                with load(1, "raw-consumer", port=side.port, window=RAW_WINDOW, seconds=seconds) as consumer:
                    consumer.answer()
                    before = side.cpu()
                    result = consumer.answer()
                    used = side.cpu() - before
            finally:
                side.stop()
    return {
        "made before: exchanges/s": result["done"] / result["seconds"],
        "made before: failed": result["failed"],
        "made before: CPU us": used * 1e6 / max(1, result["done"]),
    }


class HermesTable(Side):
    name = "hermes"


class PythonNDNTable(Side):
    name = "python-ndn"


def lookups(make: type[Side], cores: tuple[int, int], seconds: float) -> Outcome:
    """
    Microseconds for the longest prefix match of a name among 1,000,000; beside it among fewer, and of names under a
    thousand of them.
    """
    results = {}
    for size in SIZES:
        command = ["taskset", "-c", str(cores[0]), sys.executable, TABLES, make.name, str(size)]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
        told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        results[size] = json.loads(told.stdout)
    details = {f"{size:,} names": results[size]["any"] for size in SIZES}
    details |= {f"{size:,}, 1,000 in use": results[size]["some"] for size in SIZES[2:]}
    details["MiB for 1,000,000"] = results[SIZES[-1]]["memory"]
    return Outcome(results[SIZES[-1]]["any"], details)


MEASURES = [
    Measure("ndn-exchange", "exchanges/s", "more", exchange, (HermesNDN, DirectNDN), unfit),
    Measure("ndn-fib", "us/lookup", "less", lookups, (HermesTable, PythonNDNTable), unfit),
]
