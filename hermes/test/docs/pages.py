"""
The documentation as the tests see it: pages, and the blocks in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

import hermes

ROOT = Path(hermes.__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"

MISSING = None if DOCS.is_dir() else "this machine has Hermes without its documentation"
"""
Why tests of the documentation skip, or L{None}.
"""

_FENCE = re.compile(r"^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)


@frozen
class Block:
    """
    One fenced block of a page.

    @ivar info: what is behind the opening fence: a language, or a directive with its argument.
    @ivar body: the lines inside.
    @ivar before: the text between the block before and this one.
    @ivar line: the line of the page that its body begins at, from 1.
    """

    info: str
    body: str
    before: str
    line: int


def pages() -> list[Path]:
    """
    Every page, README among them.
    """
    found = [path for path in DOCS.rglob("*.md") if "_build" not in path.parts]
    return [ROOT / "README.md", *sorted(found)]


def blocks(page: Path) -> Iterator[Block]:
    """
    The fenced blocks of a page, in order.
    """
    text = page.read_text()
    end = 0
    for fence in _FENCE.finditer(text):
        line = text.count("\n", 0, fence.start("body")) + 1
        yield Block(fence["info"].strip(), fence["body"], text[end : fence.start()], line)
        end = fence.end()
