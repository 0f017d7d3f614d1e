"""
C{hermes ndn pingserver PREFIX}: answer pings, as C{ndnpingserver} does.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace

from rich.console import Console

from hermes.commands.ndn.common import (
    OK,
    commandSigner,
    forwarderArguments,
    number,
    perform,
    serving,
    signer,
    signerArguments,
)
from hermes.commands.ndn.common import name as nameArgument
from hermes.ndn.app.client import Client
from hermes.ndn.app.ping import PingServer
from hermes.ndn.app.registration import register
from hermes.ndn.packet.name import Name

SUMMARY = "answer pings under a prefix, until interrupted"


def arguments(parser: ArgumentParser) -> None:
    """
    For which prefix, and with what.
    """
    parser.add_argument("prefix", metavar="PREFIX", type=nameArgument)
    parser.add_argument(
        "-f", "-x", "--freshness", type=number(0), default=1000, metavar="MS", help="(default: %(default)s)"
    )
    parser.add_argument(
        "-p", "--satisfy", type=number(0), default=0, metavar="N", help="end after so many; 0 is no end"
    )
    parser.add_argument("-s", "--size", type=number(0, 8000), default=0, metavar="BYTES", help="content of each (0)")
    parser.add_argument("-t", "--timestamp", action="store_true", help="print the time with each")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    signerArguments(parser)
    forwarderArguments(parser)


def run(options: Namespace, console: Console) -> int:
    """
    Answer.

    @return: see L{hermes.commands.ndn.run}.
    """
    return perform(options, console, lambda client: serve(client, options, console))


async def serve(client: Client, options: Namespace, console: Console) -> int:
    """
    Answer.
    """

    def told(name: Name) -> None:
        if not options.quiet:
            stamp = f"{time.time():.6f} - " if options.timestamp else ""
            print(f"{stamp}interest received: {name}", file=console.file, flush=True)

    who, _ = signer(options)
    server = PingServer(options.prefix, who, told, options.size, options.freshness, options.satisfy or None)
    await register(client, commandSigner(), server.prefix, server.answer)
    if not options.quiet:
        print(f"PING SERVER {options.prefix}", file=console.file, flush=True)
    server.ended.addCallback(lambda _: client.close())
    await client.closed
    status = OK if server.ended.called else await serving(client, options, console)
    if not options.quiet:
        print(f"--- {options.prefix} ping server statistics ---", file=console.file)
        print(f"{server.answered} packets processed", file=console.file, flush=True)
    return status
