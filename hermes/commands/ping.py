"""
C{hermes ping HOP}: the round trip to another proxy, without the right to send ICMP.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import suppress
from statistics import fmean, pstdev
from typing import Any

from rich.console import Console
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater, react

from hermes.commands.check import loadOrTell
from hermes.config import DirectUpstream, NodeConfig
from hermes.errors import FlowError, HermesError
from hermes.http2.connection import ClientConnection
from hermes.interfaces import IDialer
from hermes.net.network import Network
from hermes.tunnel.hop import Hop
from hermes.upstreams import UpstreamMaker

SUMMARY = "measure the round trip to a hop, by HTTP/2's PING"


def arguments(parser: ArgumentParser) -> None:
    """
    Which hop, and how often.
    """
    parser.add_argument(
        "hops",
        metavar="HOP",
        nargs="+",
        help="an upstream; with several, each inside a tunnel of the one before",
    )
    parser.add_argument(
        "--config", "-c", metavar="FILE", required=True, help="the node's YAML file, which names the hops"
    )
    parser.add_argument("-n", "--count", type=int, default=5, metavar="N", help="how often (default: %(default)s)")
    parser.add_argument("-i", "--interval", type=float, default=0.2, metavar="S", help="seconds between (0.2)")
    parser.add_argument("-W", "--timeout", type=float, default=5.0, metavar="S", help="seconds to wait (default: 5)")


def run(options: Namespace, console: Console) -> int:
    """
    Print a line for each PING, and what they were like together.

    @return: 0 where all came back, 1 where one did not or the hop can't be reached, 2 where the call is wrong.
    """
    config = loadOrTell(options.config, console)
    if isinstance(config, int):
        return config
    for name in options.hops:
        upstream = config.upstreams.get(name)
        if upstream is None or isinstance(upstream, DirectUpstream):
            known = [each for each, one in config.upstreams.items() if not isinstance(one, DirectUpstream)]
            print(f"{options.config}: {name!r} is no hop; there is {', '.join(known) or 'none'}", file=console.file)
            return 2
    status = 1

    def main(reactor: Any) -> Deferred[None]:
        async def measure() -> None:
            nonlocal status
            status = await _ping(reactor, config, options, console)

        return Deferred.fromCoroutine(measure())

    with suppress(SystemExit):
        react(main)
    return status


class _Once(Factory):
    """
    Gives the connection that is asked for.
    """

    noisy = False

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: IAddress | None) -> ClientConnection:  # type: ignore[override]
        return self._connection


async def _ping(reactor: Any, config: NodeConfig, options: Namespace, console: Console) -> int:
    try:
        maker = UpstreamMaker(Network(reactor), reactor, config.identity)
        hops = [maker.make(name, config.upstreams[name]).dialer for name in options.hops]
        carrier: IDialer | None = None
        for hop in hops[:-1]:
            assert isinstance(hop, Hop)
            carrier = hop.dialer if carrier is None else hop.through(carrier)
    except HermesError as error:
        print(f"{options.config}: {error}", file=console.file)
        return 1
    last = hops[-1]
    assert isinstance(last, Hop)
    statuses = [await _pingOne(reactor, last, address, carrier, options, console) for address in last.addresses]
    return max(statuses, default=1)


async def _pingOne(
    reactor: Any, hop: Hop, address: str, carrier: IDialer | None, options: Namespace, console: Console
) -> int:
    connection = ClientConnection(reactor)
    name = f"{hop.name} ({address})"
    try:
        opening = hop.endpoint(address, carrier).connect(_Once(connection))
        await opening.addTimeout(options.timeout, reactor)
        await connection.ready.addTimeout(options.timeout, reactor)
    except (FlowError, ConnectionClosed, CancelledError, TimeoutError) as error:
        print(f"{name}: {error or 'no answer'}", file=console.file)
        return 1
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}", file=console.file)
        return 1
    trips: list[float] = []
    for number in range(options.count):
        if number:
            await deferLater(reactor, options.interval)
        try:
            trip = await connection.ping().addTimeout(options.timeout, reactor)
        except Exception:
            print(f"{name}: {number + 1}: no answer", file=console.file)
            continue
        trips.append(trip * 1000)
        print(f"{name}: {number + 1}: {trips[-1]:.3f} ms", file=console.file)
    connection.abort()
    lost = options.count - len(trips)
    print(f"{name}: {options.count} sent, {lost} lost", file=console.file)
    if trips:
        least, most = min(trips), max(trips)
        print(
            f"{name}: round trip min/avg/max/mdev = {least:.3f}/{fmean(trips):.3f}/{most:.3f}/{pstdev(trips):.3f} ms",
            file=console.file,
        )
    return 1 if lost else 0
