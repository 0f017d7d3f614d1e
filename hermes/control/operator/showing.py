"""
What the operator's commands write. Whatever others wrote, a node, a client, another operator, draws nothing on this
terminal: neither as markup nor with control characters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from hermes.control.operator.client import ControllerError, WrongCall
from hermes.control.values import DOWN

STATES: Mapping[str, str] = {
    "current": "green",
    "behind": "yellow",
    "waiting": "yellow",
    "trial": "yellow",
    "draining": "yellow",
    "away": "red",
    "problem": "red",
    "revoked": "red",
    "committed": "green",
    "aborted": "red",
    "refused": "red",
    "unchanged": "green",
    "unknown": "yellow",
    "preparing": "yellow",
    "up": "green",
    "idle": "dim",
    "down": "red",
}
"""
Colours, by what a node, a link or a version is.
"""


def answered(console: Console, call: Callable[[], int]) -> int:
    """
    Ask a controller.

    @return: what C{call} does: 0 done, 1 failed or refused; 1 where the controller can't be asked or refuses; 2 where
        the command was called wrongly.
    """
    try:
        return call()
    except WrongCall as error:
        say(console, str(error))
        return 2
    except ControllerError as error:
        say(console, str(error), "red")
        return 1


def clean(text: object) -> str:
    """
    One line of text, in which nothing moves the cursor.
    """
    return "".join(each if each.isprintable() else "?" for each in str(text))


def harmless(value: Any) -> Any:
    """
    The same values, in whose texts is neither markup nor what moves the cursor.
    """
    if isinstance(value, Mapping):
        return {escape(clean(key)): harmless(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [harmless(each) for each in value]
    return escape(clean(value)) if isinstance(value, str) else value


def cell(text: object, style: str = "") -> Text:
    """
    What is in a table.
    """
    return Text(clean("" if text is None else text), style)


def state(word: str) -> Text:
    """
    What something is, coloured.
    """
    return cell(word, STATES.get(word, ""))


def say(console: Console, text: str, style: str = "") -> None:
    """
    Write lines, not wrapped.
    """
    for line in text.split("\n"):
        console.print(Text(clean(line), style), soft_wrap=True)


def table(*columns: str, title: str | None = None) -> Table:
    """
    A table as all commands have it.
    """
    return Table(
        *columns, title=title, title_justify="left", title_style="bold", box=None, header_style="bold", pad_edge=False
    )


def difference(console: Console, lines: Iterable[str]) -> None:
    """
    A difference as C{diff -u} writes it.
    """
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in lines:
        style = "bold" if line.startswith(("+++", "---")) else styles.get(line[:1], "")
        say(console, line.replace("\t", "    "), style)


def when(seconds: float) -> str:
    """
    A time, on this machine's clock.
    """
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "-"
    except (OverflowError, OSError, ValueError):
        return "?"


def ago(seconds: float | None) -> str:
    """
    How long.
    """
    if seconds is None:
        return "-"
    whole = int(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def rate(bytesPerSecond: float | None) -> str:
    """
    Bits a second, as networks are told.
    """
    if bytesPerSecond is None:
        return "-"
    bits = bytesPerSecond * 8
    for unit in ("bit/s", "kbit/s", "Mbit/s", "Gbit/s"):
        if bits < 999.5:
            return f"{bits:.0f} {unit}" if bits >= 100 or unit == "bit/s" else f"{bits:.1f} {unit}"
        bits /= 1000
    return f"{bits:.1f} Tbit/s"


def trip(seconds: float | None) -> str:
    """
    A round trip.
    """
    return "-" if seconds is None else f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def loss(share: float | None) -> str:
    """
    What is lost.
    """
    return "-" if share is None else f"{share * 100:.2g} %" if share else "0 %"


def cost(value: int | None) -> str:
    """
    What a link costs.
    """
    return "-" if value is None else "down" if value == DOWN else str(value)


def version(number: Any) -> str:
    """
    A version's number.
    """
    return "-" if number is None else str(number)
