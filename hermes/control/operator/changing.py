"""
A change of the overlay, followed on the terminal to its end.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Console

from hermes.control.operator.showing import clean, say, state

STEPS: Final[Mapping[str, str]] = {
    "validate": "reading, compiling and testing the document",
    "record": "it gets its number",
    "prepare": "nodes build it beside what they run",
    "trial": "all are ready",
    "commit": "nodes take it, on trial",
    "probe": "the trial",
    "decide": "it is decided",
    "confirm": "nodes keep it",
    "abort": "it is taken back",
    "rollback": "nodes go back to what they ran before",
}


def follow(told: Iterable[Mapping[str, Any]], console: Console, asJSON: bool) -> int:
    """
    Show how a change goes on, and what came of it.

    @param told: as L{hermes.control.operator.client.Controller.follow} gives it.
    @return: 0 where the overlay is at it, else 1.
    """
    import json

    step = ""
    for each in told:
        if asJSON:
            print(json.dumps(each), file=console.file, flush=True)
        if "outcome" in each:
            outcome = each["outcome"]
            if not asJSON:
                outcomeOf(outcome, console)
            return 0 if outcome["result"] in ("committed", "unchanged") else 1
        progress = each.get("progress")
        if asJSON or not isinstance(progress, dict):
            continue
        if progress["step"] != step:
            step = progress["step"]
            console.print(f"[bold]{step}[/bold]: {STEPS.get(step, '')}" if step in STEPS else clean(step))
        if progress["node"]:
            count = f" ({progress['done']}/{progress['total']})" if progress["total"] else ""
            text = f": {progress['text']}" if progress["text"] else ""
            say(console, f"  {progress['node']}{count}{text}")
        elif progress["text"]:
            say(console, f"  {progress['text']}")
    return 1


def outcomeOf(outcome: Mapping[str, Any], console: Console) -> None:
    """
    Show what came of a change.
    """
    number = outcome["number"]
    result = outcome["result"]
    about = f"version {number} is " if number is not None else "the change is "
    console.print(about, state(result), _more(outcome), sep="", soft_wrap=True)
    for reason in outcome["reasons"]:
        for count, line in enumerate(str(reason["text"]).split("\n")):
            say(console, f"  {reason['node']} ({reason['step']}): {line}" if not count else f"    {line}", "red")
    for note in outcome["notes"]:
        say(console, f"  note: {note['node']}: {note['text']}", "yellow")
    if outcome["later"]:
        say(console, f"  not there, and get it when they come: {', '.join(outcome['later'])}", "yellow")


def _more(outcome: Mapping[str, Any]) -> str:
    result, changed = outcome["result"], outcome["changed"]
    if result == "committed":
        if not changed and not outcome["later"]:
            return ": no node's configuration is another"
        nodes = f"{len(changed)} node{'' if len(changed) == 1 else 's'}"
        return f" on {nodes} after {outcome['seconds']:.1f} s"
    if result == "unchanged":
        return ": the overlay is at it already"
    if result == "refused":
        return ": nothing was changed"
    if result == "aborted":
        return ": every node runs what it ran before"
    return ": this controller does not lead any more; the one that does decides. See hermes history"


def confirmed(question: str, options: Any, console: Console) -> bool | None:
    """
    Ask whether it shall be done.

    @return: L{None} where nobody can be asked: C{--yes} is needed then.
    """
    if options.yes:
        return True
    if not sys.stdin.isatty():
        return None
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")
