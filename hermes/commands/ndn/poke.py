"""
C{hermes ndn poke NAME}: one Data packet, for whoever asks first, as C{ndnpoke} does.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from rich.console import Console
from twisted.internet.defer import Deferred, TimeoutError

from hermes.commands.ndn.common import (
    FAILED,
    OK,
    TIMEOUT,
    commandSigner,
    forwarderArguments,
    number,
    perform,
    signer,
    signerArguments,
    tell,
)
from hermes.commands.ndn.common import name as nameArgument
from hermes.ndn.app.client import Client, Reply
from hermes.ndn.app.registration import register
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.peek import InterestView

SUMMARY = "publish one packet, for one Interest"


def arguments(parser: ArgumentParser) -> None:
    """
    What, and how.
    """
    parser.add_argument("name", metavar="NAME", type=nameArgument)
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="its content; - or nothing is standard input"
    )
    parser.add_argument("-x", "--freshness", type=number(0), default=0, metavar="MS", help="how long it is fresh (0)")
    parser.add_argument(
        "-F", "--final", action="store_true", help="its last component is the last of all (FinalBlockId)"
    )
    parser.add_argument("-u", "--unsolicited", action="store_true", help="send it though nobody has asked")
    parser.add_argument("-w", "--timeout", type=number(1), metavar="MS", help="how long to wait for an Interest")
    signerArguments(parser)
    forwarderArguments(parser)


def run(options: Namespace, console: Console) -> int:
    """
    Answer one Interest.

    @return: see L{hermes.commands.ndn.run}.
    """
    try:
        if options.file == "-":
            content = sys.stdin.buffer.read()
        else:
            with open(options.file, "rb") as file:
                content = file.read()
    except OSError as error:
        tell(options, console, f"{options.file}: {error.strerror}")
        return FAILED
    return perform(options, console, lambda client: poke(client, options, content, console))


async def poke(client: Client, options: Namespace, content: bytes, console: Console) -> int:
    """
    Answer one.
    """
    name = options.name
    if options.final and not name:
        raise ValueError("/ has no component that could be the last")
    who, _ = signer(options)
    metaInfo = MetaInfo(freshness=options.freshness, finalBlock=name[-1] if options.final else None)
    wire = encodeData(name, content, who, metaInfo)
    if options.unsolicited:
        client.write(wire)
        return OK
    asked: Deferred[None] = Deferred()

    def answer(view: InterestView, reply: Reply) -> None:
        if view.name == name.value or (view.canBePrefix and name.value.startswith(view.name)):
            reply(wire)
            if not asked.called:
                asked.callback(None)

    def lost(result: None) -> None:
        if not asked.called:
            asked.errback(ConnectionError("the connection to the forwarder has ended"))

    client.closed.addCallback(lost)
    await register(client, commandSigner(), name, answer)
    if options.timeout is not None:
        asked.addTimeout(options.timeout / 1000, client.clock)
    try:
        await asked
    except TimeoutError:
        tell(options, console, f"nobody has asked for {name}")
        return TIMEOUT
    return OK
