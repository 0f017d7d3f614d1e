"""
Draws the state machines of the control plane from the code: C{docs/drawings/NAME.dot}, and C{NAME.svg} where Graphviz
is installed.

    python docs/machines.py

What is drawn is what leads from one state to another; what a state takes and stays as it is, is not.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hermes.control.agent.machine import AgentMachine
from hermes.control.transaction.machine import TransactionMachine

DRAWINGS = Path(__file__).parent / "drawings"

MACHINES: dict[str, Any] = {"agent": AgentMachine, "transaction": TransactionMachine}
"""
The machines, by the name of their drawing.
"""

LEFT_OUT = {"stop", "abandon"}
"""
What ends it from wherever it is: an arrow from every state, told in the text.
"""

FROM_OUTSIDE = {"prepare", "commit", "confirm", "rollback", "controllerLost", "begin", "cancel"}
"""
Calls of others; the rest is told by the machine's own work.
"""


def dot(name: str) -> str:
    """
    A machine, for Graphviz. The same machine gives the same text.
    """
    automaton = MACHINES[name].__automat_automaton__
    edges: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for before, symbol, after, _ in automaton.allTransitions():
        if before is not after and symbol not in LEFT_OUT:
            edges[before.name, after.name].add(symbol)
    states = _inOrder(automaton.initialState.name, edges)
    lines = [
        "// Made from the code by docs/machines.py.",
        f"digraph {name} {{",
        '  rankdir=TB; nodesep=0.45; ranksep=0.5; bgcolor="transparent";',
        '  node [shape=box, style="rounded,filled", fillcolor="#f4f6f8", color="#55606e", fontname="sans-serif"];',
        '  edge [color="#55606e", fontname="sans-serif", fontsize=10];',
    ]
    for state in states:
        bold = ", penwidth=2" if state == automaton.initialState.name else ""
        lines.append(f'  {state} [label="{state}"{bold}];')
    for (before, after), symbols in sorted(edges.items()):
        label = "\\n".join(f"<{each}>" if each in FROM_OUTSIDE else each for each in sorted(symbols))
        lines.append(f'  {before} -> {after} [label="{label}"];')
    return "\n".join([*lines, "}", ""])


def _inOrder(first: str, edges: Iterable[tuple[str, str]]) -> list[str]:
    """
    The states as they are come to, the first one first.
    """
    found = [first]
    for state in found:
        found += sorted({after for before, after in edges if before == state} - set(found))
    return found


def digest(text: str) -> str:
    """
    By which a picture says of what it was made.
    """
    return hashlib.sha256(text.encode()).hexdigest()


def svg(text: str) -> str:
    """
    A picture of it, by Graphviz.
    """
    drawn = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True).stdout
    body = re.sub(r"<!-- (Generated|Title).*?-->\n?", "", drawn, flags=re.DOTALL)
    body = re.sub(r" Pages: .*?-->", "-->", body)
    return body.replace("<svg ", f"<!-- of {digest(text)} -->\n<svg ", 1)


def main() -> None:
    """
    Draw all.
    """
    DRAWINGS.mkdir(exist_ok=True)
    for name in MACHINES:
        text = dot(name)
        (DRAWINGS / f"{name}.dot").write_text(text)
        if shutil.which("dot") is None:
            print(f"{name}.svg is as it was: Graphviz is not installed", file=sys.stderr)
        else:
            (DRAWINGS / f"{name}.svg").write_text(svg(text))


if __name__ == "__main__":
    main()
