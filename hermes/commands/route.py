"""
C{hermes route get ADDRESS}: where an IP packet goes, and why.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any
from urllib.parse import urlencode

from rich.console import Console

from hermes.admin.client import DEFAULT, ask
from hermes.commands.check import loadOrTell
from hermes.ip.explaining import FIELDS, askedFor, explain
from hermes.routing import makePackets

SUMMARY = "say where an IP packet goes, and which route decides"


def arguments(parser: ArgumentParser) -> None:
    """
    The packet, and whom to ask.
    """
    parser.add_argument("what", choices=["get"], help="as in: hermes route get 10.0.0.1")
    parser.add_argument("destination", metavar="ADDRESS", help="where the packet goes")
    parser.add_argument("--user", help="the user who sends it")
    parser.add_argument("--node", help="the proxy that sends it")
    parser.add_argument("--source", metavar="ADDRESS", help="where it comes from")
    parser.add_argument("--transport", metavar="PROTOCOL", help="tcp, udp, icmp, icmpv6 or a number")
    parser.add_argument("--port", help="its destination port (with tcp, if no transport is given)")
    parser.add_argument("--listener", help="the listener where it comes in")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--admin", metavar="ADDRESS", default=DEFAULT, help=f"ask the node that runs there (default {DEFAULT})"
    )
    where.add_argument("--config", "-c", metavar="FILE", help="ask a node's YAML file in place of a running node")


def run(options: Namespace, console: Console) -> int:
    """
    Print a line a route, in the order in which they are tried, what is done, and, of a running node, where the packet
    would leave.

    @return: 0 where the packet gets on, 1 where it does not or the node can't be asked, 2 where the call is wrong.
    """
    given = {name: value for name in FIELDS if (value := getattr(options, name)) is not None}
    try:
        asked = askedFor(given)
    except ValueError as error:
        print(f"hermes route: {error}", file=console.file)
        return 2
    explained: dict[str, Any]
    if options.config:
        config = loadOrTell(options.config, console)
        if isinstance(config, int):
            return config
        explained = explain(makePackets(config).table, asked)
    else:
        try:
            explained = ask(options.admin, f"route?{urlencode(given)}")
        except (OSError, ValueError) as error:
            print(f"no node answers at {options.admin}: {error}", file=console.file)
            return 1
    print(explained["packet"], file=console.file)
    for line in explained["lines"]:
        print(line, file=console.file)
    print(f"=> {explained['action']}", file=console.file)
    return 0 if explained["allowed"] and _leaves(explained, console) else 1


def _leaves(explained: dict[str, Any], console: Console) -> bool:
    """
    Print where a packet leaves a running node.

    @return: whether it can.
    """
    if "way" not in explained:
        # A file does not know.
        return True
    way = explained["way"]
    if way is None:
        print("   nobody has its address now", file=console.file)
    elif way["up"]:
        print(f"   leaves by: {way['port']}", file=console.file)
    else:
        print(f"   would leave by: {way['port']}, which is down", file=console.file)
    return way is not None and bool(way["up"])
