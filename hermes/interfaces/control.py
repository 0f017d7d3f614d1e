"""
The roles between the parts of the control plane: the controller's end of a node, and the node's end of the controller.

What carries calls from one to the other (L{hermes.control.channel}) is known to neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from hermes.control.values import Answer, Health, NodeState, Probe, ProbeResult


class INodeCalls(Interface):
    """
    What a controller asks of a node. L{INodeLink} is the controller's end, L{IAgentSide} the node's; a channel between
    passes calls on as they are.

    Each step of a transaction may be asked again: a node that has done it answers C{ready} again. A node that refuses
    says so in its L{Answer}; errors are for calls that could not be made (see L{INodeLink}).
    """

    def prepare(version: int, base: int | None, config: bytes, digest: str, decide: float) -> Deferred[Answer]:
        """
        Build a configuration beside the one that runs, which goes on. A node has one prepared version at most: a new
        one takes the place of the old. It forgets it when the connection to the controller is lost, when C{rollback}
        says so, and after C{decide} seconds.

        @param version: its number.
        @param base: the version that the node is believed to have confirmed; one that has another refuses.
        @param config: a node configuration, YAML, UTF-8; the files that it names are relative to the agent's state.
        @param digest: L{hermes.control.values.digestOf} it; a node refuses what does not match.
        @param decide: seconds that the node waits, after C{commit}, to be told to stay.
        """

    def commit(version: int) -> Deferred[Answer]:
        """
        Run what was prepared, on trial. The node goes back to the version before, by itself, unless C{confirm} comes
        within C{decide} seconds; so it does when it is killed and started again.
        """

    def confirm(version: int) -> Deferred[Answer]:
        """
        C{version} is committed in the overlay: make it the last good one. A node that does not run it refuses.
        """

    def rollback(version: int) -> Deferred[Answer]:
        """
        C{version} was aborted: forget it where it is prepared, go back to the version before where it is on trial. A
        node that has neither answers C{ready}.
        """

    def drain(timeout: float) -> Deferred[bool]:
        """
        Accept nothing more, let what is open finish, at most C{timeout} seconds. Fires, once the node runs nothing any
        more, with whether every flow ended by itself.
        """

    def status() -> Deferred[Mapping[str, Any]]:
        """
        What the node's own status says (L{hermes.admin.status.Status.summary}); values as JSON has them.
        """

    def health() -> Deferred[Health]:
        """
        How the node does: what is compared before and after a change.
        """

    def logs(count: int) -> Deferred[Sequence[str]]:
        """
        The last lines of its log, oldest first, at most C{count}.
        """

    def probe(probes: Sequence[Probe]) -> Deferred[Sequence[ProbeResult]]:
        """
        Try each, at the same time. Fires when the last has ended, with the results in the order of the probes.
        """

    def revoked(serials: Sequence[str]) -> Deferred[None]:
        """
        The certificates that are revoked, by serial number in hexadecimal, all of them: the node takes no handshake of
        theirs any more and closes what connections they have. Kept on disk.
        """


class INodeLink(INodeCalls):
    """
    The controller's end of one connected node.

    Every Deferred of a call fires: with the node's answer, or with L{hermes.control.errors.NodeLost} where the
    connection is lost first, L{hermes.control.errors.NodeTimeout} where no answer comes in the time of the channel
    (the transaction has shorter times of its own), L{hermes.control.errors.NodeFailed} where the node could not answer.
    """

    name = Attribute("C{str}: the node's name, as its certificate says it.")
    state = Attribute(
        "L{hermes.control.values.NodeState}: as the node last told it; C{connected} becomes false before "
        "L{INodeLinks.watch} tells of the loss."
    )

    def disconnect(reason: str) -> None:
        """
        Close the connection. The node may connect again, unless its certificate was revoked.
        """


class INodeLinks(Interface):
    """
    The nodes that are connected to this controller. A node has one link: a new connection of the same name takes the
    place of the old one, which is closed and told as lost first.
    """

    def get(name: str) -> INodeLink | None:
        """
        The link to a node, or L{None} where it is not connected.
        """

    def __iter__() -> Iterator[INodeLink]:
        """
        Every link, in no order. What connects or is lost while somebody iterates does no harm.
        """

    def watch(callback: Callable[[INodeLink], object]) -> Callable[[], None]:
        """
        Call C{callback} with a link when it is there, when its C{state} has changed, and when it was lost. It is called
        for those that are there at once. The result ends it.
        """


class IAgentSide(INodeCalls):
    """
    The node's end: the agent. Its Deferreds fire with answers; it raises nothing but what is a mistake in itself.
    """

    name = Attribute("C{str}: the node's name.")
    state = Attribute("L{hermes.control.values.NodeState}: now; C{connected} and C{seen} mean nothing here.")

    def watch(callback: Callable[[NodeState], object]) -> Callable[[], None]:
        """
        Call C{callback} with each new state, so that the channel can tell the controller. The result ends it.
        """

    def controllerConnected() -> None:
        """
        The channel to a controller is up, and the controller was told the state.
        """

    def controllerLost() -> None:
        """
        It is lost: what is prepared is forgotten, what is on trial waits for its time.
        """
