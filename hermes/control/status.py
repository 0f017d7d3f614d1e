"""
What a controller says of the overlay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

from hermes.control.leading import Leading
from hermes.control.values import NodeEntry, NodeState, Progress
from hermes.interfaces.control import INodeLinks


@frozen
class NodeStatus:
    """
    A node, as the controller sees it.

    @ivar name: its name.
    @ivar state: what it says of itself; of one that is not connected, only when it was last heard of.
    @ivar wanted: the version that it should run, or L{None} where the overlay does not have it.
    @ivar current: whether it runs that, or the very same configuration under another number.
    @ivar problem: why not, or what else is wrong, for the operator; or L{None}.
    @ivar enrolled: whether it has a certificate of this overlay.
    @ivar revoked: whether it was shut out.
    @ivar expires: when its certificate does, in seconds since the epoch; 0 where it has none.
    """

    name: str
    state: NodeState
    wanted: int | None = None
    current: bool = False
    problem: str | None = None
    enrolled: bool = False
    revoked: bool = False
    expires: float = 0.0


@frozen
class OverlayStatus:
    """
    The overlay.

    @ivar leading: whether this controller leads. One that does not knows little of the nodes.
    @ivar leader: which one does, or L{None}.
    @ivar version: the version that is committed, or L{None} before the first.
    @ivar author: who applied it.
    @ivar time: when, in seconds since the epoch.
    @ivar comment: what they said about it.
    @ivar problem: what is wrong with it, or L{None}.
    @ivar change: the number of the change that is under way, 0 where it has none yet, or L{None} where none is.
    @ivar progress: how far that is.
    @ivar nodes: the nodes, sorted by name.
    """

    leading: bool
    leader: str | None = None
    version: int | None = None
    author: str = ""
    time: float = 0.0
    comment: str = ""
    problem: str | None = None
    change: int | None = None
    progress: Progress | None = None
    nodes: tuple[NodeStatus, ...] = ()


def nodeStatuses(leading: Leading | None, links: INodeLinks, entries: Iterable[NodeEntry]) -> Iterator[NodeStatus]:
    """
    The nodes that the document names, that are enrolled, or that are connected; sorted by name.
    """
    known = {entry.name: entry for entry in entries}
    states = {link.name: link.state for link in links}
    named = set() if leading is None or leading.current is None else set(leading.current.digests)
    refused: Mapping[str, tuple[str, ...]] = {} if leading is None else leading.reconciler.problems()
    for name in sorted(known.keys() | states.keys() | named):
        entry = known.get(name, NodeEntry(name))
        state = states.get(name) or NodeState(name, seen=entry.lastSeen)
        wanted = None if leading is None else leading.wanted(name)
        problems = list(refused.get(name, ()))
        if state.problem is not None:
            problems.append(state.problem)
        if state.connected and leading is not None and leading.current is not None and wanted is None:
            problems.append("the overlay document does not name it")
        yield NodeStatus(
            name,
            state,
            None if wanted is None else wanted.version,
            wanted is not None and state.connected and state.digest in wanted.digests and not state.trial,
            "; ".join(problems) or None,
            bool(entry.serial),
            entry.revoked,
            entry.expires,
        )
