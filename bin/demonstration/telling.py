"""
What the demonstration prints.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)


def title(text: str, *commands: str) -> None:
    """
    What comes next, and how to do it by hand.
    """
    console.print(f"\n[bold]{text}[/bold]")
    for command in commands:
        console.print(f"   $ {command}", markup=False)


def verdict(good: bool, right: str, wrong: str) -> str:
    """
    A word at the end of a line.
    """
    return f"[green]{right}[/green]" if good else f"[red]{wrong}[/red]"


def milliseconds(seconds: float | None) -> str:
    """
    A duration.
    """
    return "-" if seconds is None else f"{seconds * 1000:.2f} ms"


def showHop(node: str, entry: dict[str, Any]) -> None:
    """
    What a proxy saw of a flow or of an HTTP exchange, in a line.
    """
    by = f"from proxy {entry['node']}" if entry["node"] else "from an application"
    if "target" in entry:
        what = f"to {entry['target']}"
        when = f"far side up in {milliseconds(entry['connectSeconds'])}"
    else:
        what = f"{entry['method']} {entry['authority']}{entry['path']}"
        when = f"HTTP/{entry['version']}, {entry['status']} after {milliseconds(entry['firstByteSeconds'])}"
        if entry["cache"]:
            when += f", cache: {entry['cache']}"
    console.print(
        f"     {node:8}{by:20} {what:24}{entry['bytesIn']:>7,} B in {entry['bytesOut']:>11,} B out, {when}",
        markup=False,
    )
