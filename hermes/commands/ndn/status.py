"""
C{hermes ndn status}: what a forwarder does, as C{nfdc status report} tells it.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import Any

from attrs import asdict
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hermes.commands.ndn.common import OK, forwarderArguments, perform
from hermes.ndn.app.client import Client
from hermes.ndn.app.status import Status, status
from hermes.ndn.management.statuses import PERSISTENCIES
from hermes.ndn.packet.name import Name

SUMMARY = "show what a forwarder does: faces, FIB, RIB, Content Store, strategies"

PARTS = ("general", "channels", "faces", "fib", "rib", "store", "strategies")

_ORIGINS = {0: "app", 64: "autoreg", 65: "client", 66: "autoconf", 127: "nlsr", 129: "prefixann", 255: "static"}


def arguments(parser: ArgumentParser) -> None:
    """
    Which part of it.
    """
    parser.add_argument("part", metavar="PART", nargs="?", choices=PARTS, help=f"one of {', '.join(PARTS)}; else all")
    parser.add_argument("--json", action="store_true", help="print JSON")
    forwarderArguments(parser)


def run(options: Namespace, console: Console) -> int:
    """
    Print it.

    @return: see L{hermes.commands.ndn.run}.
    """
    return perform(options, console, lambda client: show(client, options, console))


async def show(client: Client, options: Namespace, console: Console) -> int:
    """
    Print it.
    """
    found = await status(client)
    parts = PARTS if options.part is None else (options.part,)
    if options.json:
        said = asdict(found, value_serializer=_plain)
        print(json.dumps({part: said[part] for part in parts}, indent=2), file=console.file)
        return OK
    for part in parts:
        _SHOW[part](found, console)
    return OK


def _plain(instance: Any, attribute: Any, value: Any) -> Any:
    return str(value) if isinstance(value, Name) else value


def _say(console: Console, text: str) -> None:
    console.print(escape(text), highlight=False, soft_wrap=True)


def _general(found: Status, console: Console) -> None:
    general = found.general
    _say(console, f"{general.version}, up for {(general.now - general.started) // 1000} s")
    table = Table("", "Interests", "Data", "Nacks", box=None, header_style="bold")
    table.add_row("in", str(general.inInterests), str(general.inData), str(general.inNacks))
    table.add_row("out", str(general.outInterests), str(general.outData), str(general.outNacks))
    console.print(table)
    _say(
        console,
        f"{general.satisfiedInterests} Interests satisfied, {general.unsatisfiedInterests} not; entries: FIB "
        f"{general.fibEntries}, PIT {general.pitEntries}, CS {general.csEntries}, names {general.nameTreeEntries}, "
        f"measurements {general.measurementsEntries}",
    )


def _channels(found: Status, console: Console) -> None:
    _say(console, "faces are accepted at: " + (", ".join(each.localURI for each in found.channels) or "nowhere"))


def _faces(found: Status, console: Console) -> None:
    table = _table("face", "remote", "local", "is", "Interests in/out", "Data in/out", "Nacks in/out", "bytes in/out")
    for face in found.faces:
        is_ = [PERSISTENCIES[face.persistency], "local" if face.scope else "non-local"]
        if face.expiration is not None:
            is_.append(f"{face.expiration // 1000} s left")
        table.add_row(
            str(face.faceID),
            escape(face.uri),
            escape(face.localURI),
            ", ".join(is_),
            f"{face.inInterests}/{face.outInterests}",
            f"{face.inData}/{face.outData}",
            f"{face.inNacks}/{face.outNacks}",
            f"{face.inBytes}/{face.outBytes}",
        )
    console.print(table)


def _fib(found: Status, console: Console) -> None:
    table = _table("FIB", "next hops")
    for entry in found.fib:
        hops = ", ".join(f"face {hop.faceID} (cost {hop.cost})" for hop in entry.nextHops)
        table.add_row(escape(str(entry.name)), hops)
    console.print(table)


def _rib(found: Status, console: Console) -> None:
    table = _table("RIB", "face", "origin", "cost", "flags", "expires")
    for entry in found.rib:
        for number, route in enumerate(entry.routes):
            flags = [text for bit, text in ((1, "child-inherit"), (2, "capture")) if route.flags & bit]
            table.add_row(
                "" if number else escape(str(entry.name)),
                str(route.faceID),
                _ORIGINS.get(route.origin, str(route.origin)),
                str(route.cost),
                ", ".join(flags),
                "" if route.expiration is None else f"{route.expiration // 1000} s",
            )
    console.print(table)


def _store(found: Status, console: Console) -> None:
    store = found.store
    if store is None:
        _say(console, "no Content Store")
        return
    does = " and ".join(text for bit, text in ((1, "takes Data in"), (2, "answers")) if store.flags & bit)
    _say(
        console,
        f"Content Store: {store.entries} of {store.capacity} packets, {store.hits} hits, {store.misses} misses; "
        f"{does or 'does nothing'}",
    )


def _strategies(found: Status, console: Console) -> None:
    table = _table("strategy of", "is")
    for choice in found.strategies:
        table.add_row(escape(str(choice.name)), escape(str(choice.strategy)))
    console.print(table)


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, header_style="bold")


_SHOW = {
    "general": _general,
    "channels": _channels,
    "faces": _faces,
    "fib": _fib,
    "rib": _rib,
    "store": _store,
    "strategies": _strategies,
}
