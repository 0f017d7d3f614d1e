"""
The overlay as a drawing: SVG in the page itself, the same for the same nodes and links.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import cos, hypot, log10, pi, sin
from typing import Any, Final

from hermes.control.operator.showing import loss, rate, trip
from hermes.control.page.markup import Markup, tag

WIDTH: Final = 960
SPRUNG: Final = 60
"""
With more nodes than this they lie on a circle: to find better places takes long.
"""

DRAWN: Final = 150
"""
With more nodes than this nothing is drawn: the tables say it.
"""

_STEPS: Final = 200
_MOST_STEPS: Final = 3000
"""
How often nodes are moved; and at most, together: it holds up the process, once for each shape of the overlay.
"""

_LONGEST: Final = 22

Point = tuple[float, float]


@lru_cache(maxsize=8)
def layout(names: tuple[str, ...], pairs: tuple[tuple[str, str], ...]) -> dict[str, Point]:
    """
    A place for each node, 0 to 1 both ways: neighbours near each other, others apart (Fruchterman and Reingold).
    """
    count = len(names)
    at = [(0.5 + 0.45 * cos(pi - 2 * pi * n / count), 0.5 - 0.45 * sin(pi - 2 * pi * n / count)) for n in range(count)]
    if 2 < count <= SPRUNG:
        numbers = {name: number for number, name in enumerate(names)}
        at = _sprung(at, [(numbers[a], numbers[b]) for a, b in pairs if a in numbers and b in numbers])
    low = min((x for x, _ in at), default=0), min((y for _, y in at), default=0)
    span = [max((point[axis] for point in at), default=1) - low[axis] for axis in (0, 1)]

    def placed(point: Point) -> Point:
        x, y = ((point[axis] - low[axis]) / span[axis] if span[axis] > 1e-6 else 0.5 for axis in (0, 1))
        return x, y

    return {name: placed(point) for name, point in zip(names, at, strict=True)}


def _sprung(at: list[Point], pairs: list[tuple[int, int]]) -> list[Point]:
    count = len(at)
    ideal = (1 / count) ** 0.5
    steps = min(_STEPS, _MOST_STEPS // count)
    for step in range(steps):
        heat = 0.12 * (1 - step / steps)
        moves = [[0.0, 0.0] for _ in at]
        for a in range(count):
            for b in range(a):
                _push(at, moves, a, b, lambda distance: ideal * ideal / distance)
        for a, b in pairs:
            _push(at, moves, a, b, lambda distance: -distance * distance / ideal)
        for number, (x, y) in enumerate(moves):
            # Towards the middle, so that what has no link stays near.
            x, y = x + (0.5 - at[number][0]) * 0.05, y + (0.5 - at[number][1]) * 0.05
            size = hypot(x, y) or 1.0
            most = min(size, heat)
            at[number] = at[number][0] + x / size * most, at[number][1] + y / size * most
    return at


def _push(at: list[Point], moves: list[list[float]], a: int, b: int, force: Any) -> None:
    x, y = at[a][0] - at[b][0], at[a][1] - at[b][1]
    distance = max(hypot(x, y), 0.01)
    strength = force(distance) / distance
    moves[a][0] += x * strength
    moves[a][1] += y * strength
    moves[b][0] -= x * strength
    moves[b][1] -= y * strength


def linkLabel(link: Mapping[str, Any]) -> str:
    """
    What is written beside a link: how much it carries both ways, its round trip, its loss.
    """
    ends = link["ends"]
    carried = carriedBy(link)
    trips = [end["roundTripSeconds"] for end in ends if end["roundTripSeconds"] is not None]
    losses = [end["loss"] for end in ends if end["loss"] is not None]
    parts = [
        None if carried is None else rate(carried),
        trip(min(trips)) if trips else None,
        f"{loss(max(losses))} lost" if losses and max(losses) > 0 else None,
    ]
    return " \u00b7 ".join(part for part in parts if part)


def carriedBy(link: Mapping[str, Any]) -> float | None:
    """
    Bytes a second, both ways.
    """
    rates = [
        value for end in link["ends"] for value in (end["sentPerSecond"], end["receivedPerSecond"]) if value is not None
    ]
    return sum(rates) if rates else None


def thickness(link: Mapping[str, Any]) -> float:
    """
    How thick a link is drawn: a step for each tenfold.
    """
    carried = carriedBy(link) or 0.0
    return round(1.5 + max(0.0, log10(max(carried, 1)) - 2) * 1.2, 1)


def draw(nodes: Sequence[Mapping[str, Any]], links: Sequence[Mapping[str, Any]]) -> Markup | None:
    """
    @param nodes: as L{hermes.control.operator.graph} gives them; likewise C{links}.
    @return: L{None} where there is nothing to draw, or too much.
    """
    if not nodes or len(nodes) > DRAWN:
        return None
    names = tuple(node["name"] for node in nodes)
    places = layout(names, tuple(tuple(link["between"]) for link in links))
    height = 150 if len(nodes) <= 2 else min(240 + 36 * len(nodes), 760)
    left, top = 110, 46

    def point(name: str) -> Point:
        x, y = places[name]
        return round(left + x * (WIDTH - 2 * left), 1), round(top + y * (height - 2 * top), 1)

    lines, labels, boxes = [], [], []
    for number, link in enumerate(links):
        a, b = link["between"]
        if a not in places or b not in places:
            continue
        (ax, ay), (bx, by) = point(a), point(b)
        lines.append(
            tag(
                "line",
                tag("title", f"{a} - {b}: {link['state']}"),
                id=f"line-{number}",
                class_=f"link {link['state']}",
                x1=ax,
                y1=ay,
                x2=bx,
                y2=by,
                stroke_width=thickness(link),
            )
        )
        # Not in the middle: there others cross.
        share = 0.5 if number % 2 else 0.42
        x, y = round(ax + (bx - ax) * share, 1), round(ay + (by - ay) * share + 4, 1)
        labels.append(tag("text", linkLabel(link), id=f"label-{number}", class_="label", x=x, y=y))
    for number, node in enumerate(nodes):
        x, y = point(node["name"])
        boxes.append(_box(number, node, x, y))
    return tag(
        "svg",
        tag("title", "The overlay: nodes and the links between them; the tables below say the same"),
        *lines,
        *labels,
        *boxes,
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        class_="overlay",
        xmlns="http://www.w3.org/2000/svg",
    )


def _box(number: int, node: Mapping[str, Any], x: float, y: float) -> Markup:
    name = node["name"]
    short = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "\u2026"
    width = max(92, 8 * len(short) + 46)
    runs = "" if node["runs"] is None else f"version {node['runs']}"
    return tag(
        "g",
        tag("title", f"{name}: {node['state']}{', ' + node['problem'] if node['problem'] else ''}"),
        tag("rect", x=round(x - width / 2, 1), y=y - 21, width=width, height=42, rx=9),
        tag("circle", cx=round(x - width / 2 + 12, 1), cy=y - 5, r=4),
        tag("text", short, x=x + 6, y=y - 1, class_="name"),
        tag("text", runs or node["state"], x=x, y=y + 14, class_="runs"),
        id=f"node-{number}",
        class_=f"node {node['state']}",
    )
