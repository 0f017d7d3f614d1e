"""
C{hermes ndn peek NAME}: one Interest, and what it brings, as C{ndnpeek} does.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from rich.console import Console

from hermes.commands.ndn.common import (
    OK,
    USAGE,
    forwarderArguments,
    notes,
    number,
    perform,
    tell,
    trustArguments,
    verifier,
)
from hermes.commands.ndn.common import name as nameArgument
from hermes.ndn.app.client import Client
from hermes.ndn.packet.typenumbers import DEFAULT_LIFETIME

SUMMARY = "send one Interest, and print the packet that it brings"


def arguments(parser: ArgumentParser) -> None:
    """
    What, and how.
    """
    parser.add_argument("name", metavar="NAME", type=nameArgument)
    parser.add_argument("-P", "--prefix", action="store_true", help="the name of the Data may be longer (CanBePrefix)")
    parser.add_argument("-f", "--fresh", action="store_true", help="take from caches only what is fresh (MustBeFresh)")
    parser.add_argument("-l", "--lifetime", type=number(1), metavar="MS", help="of the Interest (default: 4000)")
    parser.add_argument(
        "-F",
        "--fwhint",
        action="append",
        default=[],
        type=nameArgument,
        metavar="NAME",
        help="where it is known (ForwardingHint); may be repeated",
    )
    parser.add_argument("-H", "--hop-limit", type=number(0, 255), metavar="N", help="how far it may go")
    parameters = parser.add_mutually_exclusive_group()
    parameters.add_argument("-A", "--app-params", metavar="TEXT", help="ApplicationParameters")
    parameters.add_argument("-a", "--app-params-file", metavar="FILE", help="ApplicationParameters, from a file")
    parser.add_argument("-p", "--payload", action="store_true", help="print the content, not the whole packet")
    parser.add_argument(
        "-w", "--timeout", type=number(1), metavar="MS", help="how long to wait, where not as long as it lives"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say what came, on standard error")
    trustArguments(parser)
    forwarderArguments(parser)


def run(options: Namespace, console: Console) -> int:
    """
    Print it.

    @return: see L{hermes.commands.ndn.run}.
    """
    console = notes(console)
    if options.rule and not options.anchor:
        tell(options, console, "--rule says whom to believe beside an --anchor: give one")
        return USAGE
    return perform(options, console, lambda client: peek(client, options, console, sys.stdout.buffer))


async def peek(client: Client, options: Namespace, console: Console, output: Any) -> int:
    """
    Send it; write what comes.
    """
    more: dict[str, Any] = {"hopLimit": options.hop_limit, "hint": options.fwhint}
    if options.app_params is not None:
        more["parameters"] = options.app_params.encode()
    elif options.app_params_file is not None:
        with open(options.app_params_file, "rb") as file:
            more["parameters"] = file.read()
    lifetime = options.lifetime or DEFAULT_LIFETIME
    waiting = client.express(options.name, options.prefix, options.fresh, lifetime, **more)
    if options.timeout is not None:
        waiting.addTimeout(options.timeout / 1000, client.clock, _tooLate)
    data = await waiting
    verifying = verifier(options, client, lifetime)
    if not verifying.validateNow(data):
        await verifying.validate(data)
    if options.verbose:
        print(f"{data.name}: {len(data.content)} bytes of content, {len(data.wire)} in all", file=console.file)
    output.write(data.content if options.payload else data.wire)
    output.flush()
    return OK


def _tooLate(result: object, seconds: float) -> None:
    from hermes.ndn.app.errors import InterestTimeout

    raise InterestTimeout(f"no answer within {seconds:g} seconds")
