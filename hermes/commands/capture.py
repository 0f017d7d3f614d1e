"""
C{hermes capture NAME -w FILE}: the IP packets of a listener or tunnel of a running node, in a file for Wireshark.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

from rich.console import Console

from hermes.admin.client import AdminConnection, adminAddress, adminArguments
from hermes.wire.captured import Captured, CapturedReader
from hermes.wire.errors import MalformedError

SUMMARY = "write the IP packets of a listener or tunnel of a running node to a pcap file"

RAW_IP = 101
"""
LINKTYPE_RAW: packets begin with their IP header.
"""


def arguments(parser: ArgumentParser) -> None:
    """
    Which packets, and where to.
    """
    parser.add_argument("name", metavar="NAME", help="a tun listener, a hop, or a user or node that has a tunnel here")
    parser.add_argument("-w", dest="file", metavar="FILE", required=True, help="the pcap file; - is standard output")
    parser.add_argument("-n", "--count", type=int, default=0, metavar="N", help="stop after N packets")
    adminArguments(parser)


def run(options: Namespace, console: Console) -> int:
    """
    Write until interrupted, or until there are enough.

    @return: 0; 1 where the node can't be asked or has nothing of that name, or the file can't be written.
    """
    address = adminAddress(options, console)
    if isinstance(address, int):
        return address
    notes = Console(stderr=True, highlight=False) if options.file == "-" else console
    connection = AdminConnection(address)
    try:
        connection.request("GET", f"/capture/{quote(options.name, safe='')}")
        response = connection.getresponse()
        if response.status == 404:
            print(f"the node has no tun listener, hop or tunnel called {options.name!r}", file=notes.file)
            return 1
        if response.status != 200:
            print(f"{address}: it answered {response.status}", file=notes.file)
            return 1
        # Packets may be rare.
        if connection.sock is not None:
            connection.sock.settimeout(None)
        return _write(response, options, notes)
    except (OSError, HTTPException) as error:
        print(f"no node answers at {address}: {error}", file=notes.file)
        return 1
    finally:
        connection.close()


def _write(response: Any, options: Namespace, notes: Console) -> int:
    # It takes a while to import, and nothing else here needs it.
    from scapy.utils import RawPcapWriter

    try:
        out: Any = sys.stdout.buffer if options.file == "-" else open(options.file, "wb")  # noqa: SIM115
    except OSError as error:
        print(f"{options.file}: {error.strerror}", file=notes.file)
        return 1
    writer = RawPcapWriter(out, linktype=RAW_IP, sync=True, nano=True)
    reader = CapturedReader()
    count = 0
    print(f"watching {options.name}; end with Ctrl-C", file=notes.file, flush=True)
    try:
        writer.write_header(None)
        while data := response.read1(1 << 16):
            for seen in reader.receive(data):
                _record(writer, seen)
                count += 1
                if count == options.count:
                    return _done(count, options, notes)
    except KeyboardInterrupt:
        pass
    except MalformedError as error:
        print(f"{error}", file=notes.file)
        return 1
    finally:
        if options.file != "-":
            writer.close()
    return _done(count, options, notes)


def _record(writer: Any, seen: Captured) -> None:
    seconds, rest = divmod(seen.time, 1_000_000_000)
    writer.write_packet(seen.packet, sec=seconds, usec=rest, caplen=len(seen.packet), wirelen=len(seen.packet))


def _done(count: int, options: Namespace, notes: Console) -> int:
    print(f"{count} packet{'' if count == 1 else 's'} in {options.file}", file=notes.file)
    return 0
