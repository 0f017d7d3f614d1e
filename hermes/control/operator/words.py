"""
What a node is, in a word.
"""

from __future__ import annotations

from hermes.control.status import NodeStatus


def wordOf(node: NodeStatus) -> str:
    """
    C{current}: it runs what it should. C{waiting}: there is nothing for it to run yet. C{behind}: it does not run it
    yet. C{trial}: it runs it on trial. C{problem}: something is wrong. C{draining}, C{away}, C{revoked}.
    """
    state = node.state
    if node.revoked:
        return "revoked"
    if not state.connected:
        return "away"
    if state.draining:
        return "draining"
    if state.trial:
        return "trial"
    if node.problem:
        return "problem"
    if node.current:
        return "current"
    return "waiting" if node.wanted is None else "behind"
