"""
Impaired links as a process: prints where each listens, a line each, and runs until it is told to end.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from hermes.testing.links.datagram import DatagramImpairment, ImpairedDatagramLink
from hermes.testing.links.stream import ImpairedStreamLink, StreamImpairment
from hermes.values import Address, Target


def seconds(text: str) -> float:
    """
    C{10ms}, C{1.5s} or a number of seconds.
    """
    if text.endswith("ms"):
        return float(text[:-2]) / 1000
    return float(text.removesuffix("s"))


def size(text: str) -> float:
    """
    A number, with C{k}, C{M} or C{G} for powers of 1,000.
    """
    factors = {"k": 1e3, "M": 1e6, "G": 1e9}
    return float(text[:-1]) * factors[text[-1]] if text[-1] in factors else float(text)


def address(text: str) -> Address:
    """
    C{HOST:PORT}.
    """
    target = Target.fromText(text)
    return target.host, target.port


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """
    What the command line says.
    """
    parser = argparse.ArgumentParser("python -m hermes.testing.links", description=__doc__)
    parser.add_argument("kind", choices=["stream", "datagram"])
    parser.add_argument("--to", type=address, action="append", required=True, help="a target; once for each link")
    parser.add_argument("--bind", type=address, action="append", default=[], help="where each listens, in this order")
    parser.add_argument("--delay", type=seconds, default=0.0, help="each way: 10ms")
    parser.add_argument("--seed", type=int, default=0, help="of what is random")
    stream = parser.add_argument_group("stream")
    stream.add_argument("--bandwidth", type=size, help="bytes a second, each way: 12.5M")
    stream.add_argument("--cut-after", type=int, nargs=2, metavar=("LEAST", "MOST"), help="reset after so many bytes")
    stream.add_argument("--no-handshake", action="store_true", help="opening a connection takes no round trip")
    datagram = parser.add_argument_group("datagram")
    for name in ("loss", "duplicate", "reorder"):
        datagram.add_argument(f"--{name}", type=float, default=0.0, help="a share, from 0 to 1")
    datagram.add_argument("--jitter", type=seconds, default=0.0)
    return parser.parse_args(arguments)


def main(reactor: Any, *arguments: str) -> Deferred[None]:
    """
    Run links, for good.
    """
    chosen = options(arguments)
    for place, target in enumerate(chosen.to):
        bind = chosen.bind[place] if place < len(chosen.bind) else ("127.0.0.1", 0)
        random = Random(chosen.seed + place)
        link: ImpairedStreamLink | ImpairedDatagramLink
        if chosen.kind == "stream":
            cut = None if chosen.cut_after is None else (chosen.cut_after[0], chosen.cut_after[1])
            trouble = StreamImpairment(chosen.delay, chosen.bandwidth, cut, not chosen.no_handshake)
            link = ImpairedStreamLink(reactor, target, trouble, random, bind)
        else:
            impairment = DatagramImpairment(chosen.delay, chosen.jitter, chosen.loss, chosen.duplicate, chosen.reorder)
            link = ImpairedDatagramLink(reactor, target, impairment, random, bind)
        link.start()
        print(Target(*link.address), flush=True)
    return Deferred()


if __name__ == "__main__":
    import sys

    react(main, sys.argv[1:])
