"""
What is around each page.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

import hermes
from hermes.control.operator.access import Actor
from hermes.control.page.markup import Content, Markup, join, tag

_PAGES: Final = (
    ("/", "Overlay"),
    ("/versions", "History"),
    ("/explain", "Who may reach what"),
    ("/audit", "Audit log"),
)


@frozen
class Reader:
    """
    Who reads.

    @ivar actor: as what.
    @ivar local: whether over the Unix socket: nobody logs in there.
    """

    actor: Actor
    local: bool

    @property
    def mayChange(self) -> bool:
        """
        Whether there are buttons.
        """
        return bool(self.actor.csrf)

    def form(self, action: str, *content: Content, class_: str | None = None) -> Markup:
        """
        A form that changes something, with the word that only this page knows.
        """
        word = tag("input", type="hidden", name="csrf", value=self.actor.csrf)
        return tag("form", word, *content, method="post", action=action, class_=class_)


def page(reader: Reader, title: str, path: str, *content: Content) -> bytes:
    """
    A whole page, UTF-8.

    @param path: of the entry of the menu that it belongs to.
    """
    links = [tag("a", name, href=target, aria_current="page" if target == path else None) for target, name in _PAGES]
    body = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", f"{title} - Hermes"),
            tag("link", rel="stylesheet", href="/style.css"),
            tag("link", rel="icon", href="/icon.svg", type="image/svg+xml"),
        ),
        tag(
            "body",
            tag("header", tag("div", tag("strong", "Hermes"), " ", tag("nav", *_spaced(links)), " ", _who(reader))),
            tag("main", *content, tag("p", f"Hermes {hermes.__version__}", class_="quiet")),
            tag("script", src="/page.js", defer=True),
        ),
        lang="en",
    )
    return b"<!DOCTYPE html>\n" + join(body).encode()


def _spaced(parts: list[Markup]) -> list[Content]:
    # For readers without style sheets.
    return [each for part in parts for each in (part, " ")]


def _who(reader: Reader) -> Markup:
    if reader.local:
        return tag("span", f"{reader.actor.name}, by the Unix socket", class_="quiet")
    if reader.mayChange:
        return reader.form("/logout", f"{reader.actor.name} ", tag("button", "Log out", class_="quiet"))
    return tag("a", "Log in", href="/login")
