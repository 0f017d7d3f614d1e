"""
The first page: the overlay now.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hermes.control.operator.showing import ago, cost, loss, rate, trip, when
from hermes.control.page.drawing import DRAWN, draw
from hermes.control.page.frame import Reader
from hermes.control.page.markup import Content, Markup, badge, table, tag


def overview(reader: Reader, status: Mapping[str, Any], graph: Mapping[str, Any], now: float) -> list[Content]:
    """
    @param status: as the REST interface gives it; likewise C{graph}.
    @param now: seconds since the epoch.
    """
    drawing = draw(graph["nodes"], graph["links"])
    if drawing is None and graph["nodes"]:
        drawing = tag("p", f"More than {DRAWN} nodes are not drawn.", class_="quiet")
    live = tag(
        "section",
        _head(status, graph),
        _change(reader, status),
        drawing,
        tag("h2", "Nodes"),
        _nodes(status, graph, now),
        tag("h2", "Links"),
        _links(graph["links"]),
        tag("h2", "Refused lately"),
        _refusals(graph["refusals"]),
        id="live",
        data_state=stateOf(status, graph),
    )
    return [live]


def stateOf(status: Mapping[str, Any], graph: Mapping[str, Any]) -> str:
    """
    What, where it is another, has the script fetch the page anew; C{page.js} makes it too.
    """
    progress = status["progress"]
    refusals = graph["refusals"]
    state = [
        graph["shape"],
        status["change"],
        [progress["step"], progress["done"]] if progress else None,
        [[node["state"], node["runs"], node["problem"]] for node in graph["nodes"]],
        [len(link["ends"]) for link in graph["links"]],
        refusals[0]["time"] if refusals else "",
    ]
    return json.dumps(state, separators=(",", ":"), ensure_ascii=False)


def _head(status: Mapping[str, Any], graph: Mapping[str, Any]) -> list[Content]:
    nodes = graph["nodes"]
    there = sum(node["state"] not in ("away", "revoked") for node in nodes)
    number = status["version"]
    if number is None:
        title: Content = "No version yet"
        about: Content = "An operator applies the first: hermes apply FILE"
    else:
        title = ["Version ", tag("a", str(number), href=f"/versions/{number}")]
        comment = f": {status['comment']}" if status["comment"] else ""
        about = f"by {status['author']}, {when(status['time'])}{comment}"
    parts: list[Content] = [
        tag("h1", title),
        tag("p", about, ". ", f"{there} of {len(nodes)} nodes are there. ", tag("span", "", id="age"), class_="quiet"),
    ]
    if not status["leading"]:
        leader = status["leader"] or "nobody does now"
        parts.append(tag("p", "This controller does not lead: ", leader, class_="card notice"))
    if status["problem"]:
        parts.append(tag("p", status["problem"], class_="card failed"))
    return parts


def _change(reader: Reader, status: Mapping[str, Any]) -> Content:
    if status["change"] is None:
        return None
    progress = status["progress"] or {}
    number = f"Version {status['change']}" if status["change"] else "A change"
    done = f", {progress['done']} of {progress['total']} nodes" if progress.get("total") else ""
    cancel = reader.form("/cancel", tag("button", "Take it back", class_="danger"), class_="inline")
    return tag(
        "div",
        f"{number} is under way: {progress.get('step', '')}{done} {progress.get('text', '')} ",
        cancel if reader.mayChange else None,
        class_="card notice",
    )


def _nodes(status: Mapping[str, Any], graph: Mapping[str, Any], now: float) -> Markup:
    drawn = {node["name"]: node for node in graph["nodes"]}

    def row(node: Mapping[str, Any]) -> list[Content]:
        said, more = node["state"], drawn.get(node["name"], {})
        seen = "now" if said["connected"] else f"{ago(now - said['seen'])} ago" if said["seen"] else "never"
        return [
            tag("strong", node["name"]),
            badge(node["word"]),
            _number(said["runs"]),
            _number(node["wanted"]),
            more.get("address") or "-",
            tag("td", ago(more.get("uptimeSeconds")), class_="when"),
            _number(more.get("flowsOpen")),
            _number(more.get("requestsOpen")),
            tag("td", seen, class_="when"),
            tag("td", when(node["expires"])[:10], class_="when"),
            tag("td", node["problem"], class_="wide problem-text" if node["problem"] else None),
        ]

    heads = (
        "Node",
        "State",
        "Runs",
        "Wanted",
        "Address",
        "Up for",
        "Flows",
        "Requests",
        "Heard of",
        "Certificate until",
        "",
    )
    if not status["nodes"]:
        return tag("p", "None yet: hermes enrol NODE lets one join.", class_="quiet")
    return table(heads, map(row, status["nodes"]))


def _links(links: list[Mapping[str, Any]]) -> Markup:
    def rows() -> Iterator[list[Content]]:
        for number, link in enumerate(links):
            if not link["ends"]:
                a, b = link["between"]
                yield [f"{a} - {b}", badge(link["state"]), cost(link["cost"]), *["-"] * 6]
            for place, end in enumerate(link["ends"]):
                key = f"{number}-{place}"
                yield [
                    f"{end['from']} \u2192 {end['to']}",
                    badge(link["state"]),
                    cost(link["cost"]),
                    tag("td", rate(end["sentPerSecond"]), id=f"sent-{key}"),
                    tag("td", rate(end["receivedPerSecond"]), id=f"received-{key}"),
                    tag("td", trip(end["roundTripSeconds"]), id=f"trip-{key}"),
                    tag("td", loss(end["loss"]), id=f"loss-{key}"),
                    tag("td", _number(end["connections"]), id=f"connections-{key}"),
                    tag("td", _number(end["streams"]), id=f"streams-{key}"),
                ]

    heads = ("Link", "State", "Cost", "There", "Back", "Round trip", "Loss", "Connections", "Streams")
    if not links:
        return tag("p", "None.", class_="quiet")
    return table(heads, rows())


def _refusals(refusals: list[Mapping[str, Any]]) -> Markup:
    if not refusals:
        return tag("p", "Nothing.", class_="quiet")

    def row(each: Mapping[str, Any]) -> list[Content]:
        return [
            tag("td", each["time"][:19].replace("T", " "), class_="when"),
            each["node"],
            each["user"] or "-",
            each["source"] or "-",
            tag("td", each["target"], class_="wide"),
            tag("td", each["error"], class_="wide"),
        ]

    return table(("When (UTC)", "At", "Who", "From", "What", "Why"), map(row, refusals))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
