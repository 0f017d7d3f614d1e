"""
Changes of an overlay of C{edge}, C{relay} and C{gateway}, through which something flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import count
from typing import Any

from attrs import field, frozen

COMMITTED = "is committed"
REFUSED_AT_ONCE = "nothing was changed"
NO_DOCUMENT = "no node is called"
TAKEN_BACK = "every node runs what it ran before"
"""
What C{hermes apply} says.
"""

Document = dict[str, Any]
"""
An overlay document, as plain values.
"""


def allow(whom: str, to: str) -> Document:
    """
    An entry of the policy.
    """
    return {"allow": [whom], "to": [to]}


def link(one: str, other: str, weight: int) -> Document:
    """
    A link.
    """
    return {"between": [one, other], "weight": weight}


def service(port: int, **more: Any) -> Document:
    """
    A service on this machine that C{gateway} leads to.
    """
    return {"on": ["gateway"], "endpoints": [f"127.0.0.1:{port}"], **more}


LINKS = [link("edge", "gateway", 100), link("edge", "relay", 10), link("relay", "gateway", 10)]
"""
The way from C{edge} to C{gateway} leads by C{relay}.
"""

USED = ("web.hermes", "echo.hermes", "talk.hermes")
"""
The services that something flows to.
"""


@frozen
class Change:
    """
    What is changed.

    @ivar name: what it is.
    @ivar make: changes the document; called with how often it has been made before, too.
    @ivar said: what C{hermes apply} says of it.
    @ivar count: how often it has been made before.
    """

    name: str
    make: Callable[[Document, int], object] = field(repr=False)
    said: str = COMMITTED
    count: int = 0

    def of(self, document: Document) -> Document:
        """
        A document with it.
        """
        found = deepcopy(document)
        self.make(found, self.count)
        return found


def good(free: list[int]) -> Iterator[Change]:
    """
    Changes that are taken, without end. They concern what is used, or not, or the way that leads there.

    @param free: two ports for another listener.
    """

    def listener(port: int) -> Document:
        return {"extra": {"type": "tcp", "bind": f"127.0.0.1:{port}", "target": "other.hermes:1000"}}

    kinds: list[tuple[str, Callable[[Document, int], object]]] = [
        ("another service", lambda d, n: d["services"]["other.hermes"].update(ports=[1000, 2000 + n])),
        (
            "who may use another service",
            lambda d, n: d["policy"].__setitem__(3, allow("any" if n % 2 else "node:edge", "other.hermes")),
        ),
        ("a listener comes", lambda d, n: d["nodes"]["edge"]["listeners"].update(listener(free[0]))),
        ("its port is another", lambda d, n: d["nodes"]["edge"]["listeners"].update(listener(free[1]))),
        (
            "the next flows go another way",
            lambda d, n: d.update(links=[link("edge", "gateway", 100 if n % 2 else 5), *d["links"][1:]]),
        ),
        ("the listener goes", lambda d, n: d["nodes"]["edge"]["listeners"].pop("extra")),
        (
            "who may use what is used",
            lambda d, n: d["policy"].__setitem__(0, allow("any" if n % 2 else "node:edge", "web.hermes")),
        ),
        (
            "what leads to what is used",
            lambda d, n: [
                d["services"][name].update(balance="round-robin" if n % 2 else "least-request") for name in USED
            ],
        ),
        ("a user comes", lambda d, n: d.setdefault("users", {}).update({f"user{n}": {"token": f"hush{n}"}})),
        ("the way that is used goes, or is back", lambda d, n: d.update(links=LINKS if n % 2 else d["links"][:1])),
        ("how long nodes drain", lambda d, n: [node.update(drain=n + 1) for node in d["nodes"].values()]),
    ]
    for number in count():
        for name, make in kinds:
            yield Change(name, make, count=number)


def bad(taken: int, dead: int) -> Iterator[Change]:
    """
    Changes that are refused.

    @param taken: a port that somebody has.
    @param dead: one that nobody answers at.
    """
    bind = {"type": "proxy", "bind": f"127.0.0.1:{taken}"}
    endpoint = f"127.0.0.1:{dead}"
    yield Change("a test fails", lambda d, n: d["policy"].pop(1), REFUSED_AT_ONCE)
    yield Change("a port is taken", lambda d, n: d["nodes"]["relay"].update(listeners={"apps": bind}), TAKEN_BACK)
    yield Change("a probe fails", lambda d, n: d["services"]["web.hermes"].update(endpoints=[endpoint]), TAKEN_BACK)
    yield Change("a node is none", lambda d, n: d["services"]["web.hermes"].update(on=["gatewya"]), NO_DOCUMENT)
    yield Change(
        "a probe fails on another way",
        lambda d, n: [
            d["nodes"].update(other={"address": endpoint}),
            d.update(links=[link("edge", "other", 1), link("other", "gateway", 1)]),
        ],
        TAKEN_BACK,
    )
