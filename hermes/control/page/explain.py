"""
May somebody reach something, and by which way: the question and the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hermes.control.page.markup import Content, Markup, badge, tag


def explain(
    asked: Mapping[str, str], nodes: Sequence[str], answers: Mapping[str, Mapping[str, Any]], problem: str | None
) -> list[Content]:
    """
    @param asked: what was filled in.
    @param nodes: where somebody may come in.
    @param answers: as the REST interface gives them.
    @param problem: why there are none.
    """

    def text(name: str, title: str, placeholder: str, size: int = 24) -> Markup:
        value = asked.get(name, "")
        field = tag("input", name=name, value=value, placeholder=placeholder, size=size, list=f"{name}s")
        return tag("label", f"{title} ", field)

    form = tag(
        "form",
        text("user", "May", "a user, or nobody", 16),
        text("destination", "reach", "db.hermes:3306, a URL, an address", 34),
        text("at", "coming in at", "any node", 14),
        text("method", "by", "GET", 6),
        tag(
            "label",
            tag("input", type="checkbox", name="packets", value="1", checked=bool(asked.get("packets"))),
            " as IP packets",
        ),
        tag("datalist", *(tag("option", value=name) for name in nodes), id="ats"),
        tag("button", "Ask"),
        method="get",
        action="/explain",
        class_="card",
    )
    parts: list[Content] = [tag("h1", "Who may reach what"), form]
    if problem is not None:
        parts.append(tag("p", problem, class_="card failed"))
    who = asked.get("user") or "Somebody without a name"
    for node, answer in sorted(answers.items()):
        parts.append(_answer(f"{who} at {node}", answer))
    return parts


def _answer(question: str, answer: Mapping[str, Any]) -> Markup:
    allowed = answer["allowed"]
    backups = [
        tag("p", f"{node} goes over {' or '.join(ways)} where the next can't be reached.", class_="quiet")
        for node, ways in answer["backups"].items()
    ]
    lines = "\n".join(f"{each['node']}: {line}" for each in answer["lines"] for line in each["routes"])
    return tag(
        "div",
        tag("p", tag("strong", f"{question}: "), badge("yes" if allowed else "no")),
        tag("ol", *(tag("li", node) for node in answer["path"]), class_="path"),
        tag("p", answer["end"]),
        *backups,
        tag("pre", lines) if lines else None,
        class_=f"card {'done' if allowed else 'failed'}",
    )
