"""
Nodes that tell each other their prefixes, over links in memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from hermes.ndn.packet.data import decodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekInterest
from hermes.test.ndn.management.nodes import App, Node, link


class Overlay:
    """
    Nodes on one clock.
    """

    def __init__(self, names: str, links: str = "", **options: Any) -> None:
        """
        @param names: of the nodes, a letter each.
        @param links: pairs of letters, with spaces between, and a cost behind where it is not 1.
        """
        self.clock = Clock()
        self.nodes = {name: Node(name, self.clock).propagate(**options) for name in names}
        for pair in links.split():
            link(self.nodes[pair[0]], self.nodes[pair[1]], int(pair[2:] or 1))

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def run(self, seconds: float = 3.0, step: float = 0.01) -> None:
        """
        Let time pass.
        """
        for _ in range(int(seconds / step)):
            self.clock.advance(step)

    def ends(self, pair: str) -> list[Any]:
        """
        Both ends of a link.
        """
        return [self[pair[0]].links[pair[1]], self[pair[1]].links[pair[0]]]

    def where(self, node: str, prefix: str) -> dict[str, int]:
        """
        The next hops of a prefix, as costs by neighbour; an application is C{here}.
        """
        names = {face.id: name for name, face in self[node].links.items()}
        return {names.get(faceID, "here"): cost for faceID, cost in self[node].fib().get(prefix, {}).items()}

    def ask(self, app: App, name: str, seconds: float = 1.0) -> bytes | int | None:
        """
        Send an Interest and wait for what comes.
        """
        app.data.clear()
        app.nacks.clear()
        wire = encodeInterest(Name.fromText(name), nonce=app.nonce())
        app.node.forwarder.receiveInterest(app, peekInterest(wire))
        self.run(seconds)
        if app.data:
            return bytes(decodeData(app.data[0].wire).content)
        return app.nacks[0][1] if app.nacks else None

    def stop(self) -> None:
        """
        End them all: nothing is left to do.
        """
        for node in self.nodes.values():
            for end in node.links.values():
                # What is on its way does not arrive.
                end.up = False
        for node in self.nodes.values():
            node.stop()
        self.clock.advance(1)
        assert not self.clock.getDelayedCalls(), self.clock.getDelayedCalls()
