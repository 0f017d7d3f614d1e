"""
HTML in which nothing that others wrote is markup: text is escaped when it is put in, and there is no other way in.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final, TypeAlias


class Markup(str):
    """
    Text that is HTML.
    """

    __slots__ = ()


Content: TypeAlias = "str | int | Iterable[Content] | None"
"""
What is in an element: L{Markup} as it is, other text escaped; L{None} is nothing.
"""

_VOID: Final = frozenset({"br", "hr", "input", "link", "meta"})


def join(content: Content) -> Markup:
    """
    Content as HTML.
    """
    if content is None:
        return Markup("")
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return Markup(escape("".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in content)))
    if isinstance(content, int):
        return Markup(str(content))
    return Markup("".join(map(join, content)))


def tag(name: str, /, *content: Content, **attributes: str | int | float | bool | None) -> Markup:
    """
    An element.

    @param attributes: C{True} is one without a value, C{None} and C{False} are left out. An underscore stands for a
        hyphen; one at the end goes away: C{class_}.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        written = key.rstrip("_").replace("_", "-")
        parts.append(written if value is True else f'{written}="{join(str(value))}"')
    opened = f"<{' '.join(parts)}>"
    return Markup(opened) if name in _VOID else Markup(f"{opened}{join(content)}</{name}>")


def table(heads: Iterable[Content], rows: Iterable[Iterable[Content]], caption: str | None = None) -> Markup:
    """
    A table.
    """
    return tag(
        "div",
        tag(
            "table",
            None if caption is None else tag("caption", caption),
            tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
            tag("tbody", *(row if isinstance(row, Markup) else tag("tr", *map(_cell, row)) for row in rows)),
        ),
        class_="scroll",
    )


def _cell(content: Content) -> Markup:
    return content if isinstance(content, Markup) and content.startswith("<td") else tag("td", content)


def badge(word: str) -> Markup:
    """
    What something is, coloured.
    """
    return tag("span", word, class_=f"state {word}")


def difference(lines: Iterable[str]) -> Markup:
    """
    A difference as C{diff -u} writes it.
    """
    kinds = {"+": "added", "-": "removed", "@": "place"}

    def line(text: str) -> Markup:
        kind = "file" if text.startswith(("+++", "---")) else kinds.get(text[:1])
        return tag("span", text + "\n", class_=kind)

    return tag("pre", *map(line, lines), class_="diff")
