"""
C{hermes ndn put NAME FILE}: publish an object, as C{ndnputchunks} does.
"""

from __future__ import annotations

import shutil
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import BinaryIO

from rich.console import Console

from hermes.commands.ndn.common import (
    FAILED,
    commandSigner,
    forwarderArguments,
    number,
    perform,
    serving,
    signer,
    signerArguments,
    tell,
)
from hermes.commands.ndn.common import name as nameArgument
from hermes.ndn.app.client import Client
from hermes.ndn.app.publisher import (
    FRESHNESS,
    SEGMENT_SIZE,
    FileSource,
    ObjectPublisher,
    SegmentedObject,
    answerCertificate,
    splitVersion,
    versionNow,
)
from hermes.ndn.app.registration import register
from hermes.ndn.gateway.metadata import Metadata, isMediaType

SUMMARY = "publish a file as an object, until interrupted"


def arguments(parser: ArgumentParser) -> None:
    """
    What, and under which name.
    """
    parser.add_argument(
        "name", metavar="NAME", type=nameArgument, help="without a version it gets one, of the time now"
    )
    parser.add_argument("file", metavar="FILE", nargs="?", default="-", help="- or nothing is standard input")
    parser.add_argument(
        "-f", "--freshness", type=number(0), default=FRESHNESS, metavar="MS", help="of segments (default: %(default)s)"
    )
    parser.add_argument(
        "-s",
        "--size",
        type=number(1),
        default=SEGMENT_SIZE,
        metavar="BYTES",
        help="of a segment (default: %(default)s)",
    )
    parser.add_argument("--no-version", action="store_true", help="segments come right after the name")
    parser.add_argument(
        "--type",
        type=mediaType,
        metavar="TYPE",
        help="what it is, such as text/html: its metadata says so, and gateways to HTTP pass it on",
    )
    parser.add_argument("-p", "--print-data-version", action="store_true", help="print the version, and nothing else")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    signerArguments(parser)
    forwarderArguments(parser)


def run(options: Namespace, console: Console) -> int:
    """
    Publish it, until interrupted or the forwarder goes away.

    @return: see L{hermes.commands.ndn.run}.
    """
    with ExitStack() as stack:
        try:
            file = _spooled() if options.file == "-" else open(options.file, "rb")  # noqa: SIM115
            stack.enter_context(file)
        except OSError as error:
            tell(options, console, f"{options.file}: {error.strerror}")
            return FAILED
        return perform(options, console, lambda client: put(client, options, file, console))


def mediaType(text: str) -> bytes:
    """
    One argument: a media type.
    """
    kind = text.encode()
    if not isMediaType(kind):
        raise ArgumentTypeError(f"{text!r} is no media type")
    return kind


def _spooled() -> BinaryIO:
    """
    Standard input, which can't be read at any place, in a file that is gone when this program is.
    """
    file: BinaryIO = TemporaryFile()  # noqa: SIM115
    shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    file.flush()
    return file


async def put(client: Client, options: Namespace, file: BinaryIO, console: Console) -> int:
    """
    Publish it.
    """
    who, certificate = signer(options)
    name, version = splitVersion(options.name)
    prefix = options.name
    if version is None and not options.no_version:
        prefix = name + versionNow(time.time())
    source = FileSource(file)
    content = SegmentedObject(prefix, source, who, options.size, options.freshness)
    metadata = Metadata(name=prefix, size=source.size, mediaType=options.type)
    publisher = ObjectPublisher(name, content, who, time.time, metadata.encode())
    commands = commandSigner()
    await register(client, commands, name, publisher.answer)
    if certificate is not None:
        # Whoever has an anchor further up asks for it.
        await register(client, commands, certificate.keyName, answerCertificate(certificate))
    if options.print_data_version:
        print(prefix[-1:].toText()[1:], file=console.file, flush=True)
    elif not options.quiet:
        print(f"{prefix}: {content.count} segments", file=console.file, flush=True)
    status = await serving(client, options, console)
    if not options.quiet and not options.print_data_version:
        sent, told = publisher.segmentsSent, publisher.metadataSent
        print(f"{sent} segments sent, metadata {told} times", file=console.file, flush=True)
    return status
