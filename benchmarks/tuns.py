"""
What is measured of IP packets: a client, a TUN device, two proxies, a TUN device, a server; see L{tunspaces} for where
they are, and L{tunsides} for what is between the devices.

Beside each figure is that of the bare veth pair, over which the proxies talk, in the same round.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compiled import program
from harness import Load, Measure, Outcome, Run
from sides import Side
from tunsides import BareLoop, HermesTUN, PrototypeTUN, TUNSide
from tunspaces import BARE, INNER, Spaces, spaces, unfit

PORT = 5201
OFFERED = 200_000
"""
Packets a second that a sender sends: more than any side carries.
"""


@contextmanager
def stage(make: type[Side], cores: tuple[int, int]) -> Iterator[tuple[TUNSide, Spaces]]:
    """
    Two namespaces, and a way between their TUN devices.
    """
    with tempfile.TemporaryDirectory() as directory, spaces() as names:
        side = make(Path(directory), 0, cores)
        assert isinstance(side, TUNSide)
        try:
            side.startTUN(names)
            yield side, names
        except Exception:
            print(side.logs(), file=sys.stderr)
            raise
        finally:
            side.stop()


@contextmanager
def packets(names: Spaces, near: bool, **arguments: object) -> Iterator[Load]:
    """
    C{native/packets.c} in a namespace: the client's processes have core 0, the server's core 1.
    """
    running = Load(0 if near else 1, [*names.inside(near), str(program("packets"))], **arguments)
    try:
        if arguments["mode"] in ("sink", "echo"):
            assert running.line() == "ready\n"
        yield running
    finally:
        running.stop()


def stream(names: Spaces, target: str, seconds: float, *options: str) -> float:
    """
    One iperf3 TCP stream from the client to an address of the server.

    @param options: of the client.
    @return: Gbit/s that arrived.
    """
    serve = ["taskset", "-c", "1", *names.inside(False), "iperf3", "-s", "-1", "-B", target, "-p", str(PORT)]
    ask = ["taskset", "-c", "0", *names.inside(True), "iperf3", "-J", "-c", target, "-p", str(PORT)]
    with subprocess.Popen([*serve, "--forceflush"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            while "listening" not in server.stdout.readline():
                if server.poll() is not None:
                    raise RuntimeError("iperf3 does not listen")
            # It knows whole seconds, and 0 is without end.
            command = [*ask, "-t", str(max(1, round(seconds))), *options]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=seconds + 60)
        finally:
            server.kill()
    result: dict[str, Any] = json.loads(answer.stdout)
    if "error" in result:
        raise RuntimeError(f"iperf3: {result['error']}")
    return float(result["end"]["sum_received"]["bits_per_second"] / 1e9)


def bulk(make: type[Side], cores: tuple[int, int], seconds: float) -> Outcome:
    """
    Gbit/s of one TCP stream to the server. Beside it, of one from there, of the veth pair, and what the proxies use for
    64 KiB.
    """
    with stage(make, cores) as (side, names):
        before, begun = side.cpu(), time.monotonic()
        there = stream(names, INNER[1], seconds)
        used = (side.cpu() - before) / (time.monotonic() - begun)
        back = stream(names, INNER[1], seconds, "-R")
        veth = stream(names, BARE[1], seconds / 2)
    # What is warmed up for is carried too: CPU by the second, over what goes in a second.
    cost = used * 1e6 / (there * 1e9 / 8 / 65536)
    return Outcome(there, {"back": back, "veth": veth, "CPU us/64 KiB": cost})


def rate(names: Spaces, size: int, flows: int, seconds: float, near: bool, target: str) -> tuple[float, float]:
    """
    @param flows: of how many the packets are, in turn.
    @param near: whether the client sends.
    @return: how many thousand packets a second arrive of L{OFFERED}, and which share of those that were sent is lost.
    """
    with packets(names, not near, mode="sink", bind=target, port=PORT) as sink:
        load = {"mode": "blast", "to": target, "port": PORT, "size": size, "rate": OFFERED}
        with packets(names, near, seconds=seconds, flows=flows, **load) as blast:
            sent = blast.answer()
        time.sleep(0.3)
        sink.process.send_signal(signal.SIGTERM)
        received = sink.answer()
    return received["received"] / received["seconds"] / 1000, 1 - received["received"] / sent["sent"]


def packetRate(size: int, flows: int = 1) -> Run:
    """
    Thousand packets a second of so many bytes that arrive, of more than can: the mean of both ways, one after the
    other.
    """

    def run(make: type[Side], cores: tuple[int, int], seconds: float) -> Outcome:
        with stage(make, cores) as (side, names):
            before = side.cpu()
            there, lost = rate(names, size, flows, seconds, True, INNER[1])
            cost = (side.cpu() - before) * 1e6 / (there * 1000 * seconds)
            back, lostBack = rate(names, size, flows, seconds, False, INNER[0])
            veth, _ = rate(names, size, flows, seconds / 2, True, BARE[1])
        details = {"there": there, "back": back, "veth": veth, "CPU us/packet there": cost}
        details |= {"lost there": lost, "lost back": lostBack}
        return Outcome((there + back) / 2, details)

    return run


def latency(make: type[Side], cores: tuple[int, int], seconds: float) -> Outcome:
    """
    What the way through the proxies adds to a round trip of 64 bytes over the veth pair, measured just before.
    """

    def ask(target: str, during: float) -> dict[str, Any]:
        with (
            packets(names, False, mode="echo", bind=target, port=PORT),
            packets(names, True, mode="ping", to=target, port=PORT, size=64, seconds=during) as ping,
        ):
            return ping.answer()

    with stage(make, cores) as (_, names):
        straight = ask(BARE[1], seconds / 2)
        through = ask(INNER[1], seconds)
    details = {f"{name} added": through[name] - straight[name] for name in ("p50", "p90", "p99")}
    details |= {"p50 veth": straight["p50"], "lost": through["lost"]}
    return Outcome(through["p50"] - straight["p50"], details)


SIDES = (HermesTUN, PrototypeTUN)
MEASURES = [
    Measure("tun-bulk", "Gbit/s", "more", bulk, SIDES, unfit),
    Measure("tun-bulk-bare", "Gbit/s", "more", bulk, (HermesTUN, BareLoop), unfit),
    Measure("tun-pps-64", "kpackets/s", "more", packetRate(64), SIDES, unfit),
    Measure("tun-pps-1400", "kpackets/s", "more", packetRate(1400), SIDES, unfit),
    Measure("tun-pps-64-flows", "kpackets/s", "more", packetRate(64, 64), SIDES, unfit),
    Measure("tun-latency", "us added, p50", "less", latency, SIDES, unfit),
]
