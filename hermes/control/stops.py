"""
Where a process can be stopped for a test: at each named point, just before it goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from twisted.internet.defer import Deferred, succeed

StopAt: TypeAlias = Callable[[str], "Deferred[None]"]
"""
Called with the name of a point; what is there goes on once the Deferred fires. A test's never does: then it kills the
process.
"""

AGENT_POINTS = (
    "agent.prepare",
    "agent.prepare.built",
    "agent.prepare.staged",
    "agent.commit",
    "agent.commit.marked",
    "agent.commit.swapped",
    "agent.confirm",
    "agent.confirm.kept",
    "agent.return",
    "agent.return.built",
    "agent.return.swapped",
)
"""
Those of an agent.
"""

CONTROLLER_POINTS = (
    "apply.validate",
    "apply.record",
    "apply.prepare",
    "apply.prepared",
    "apply.trial",
    "apply.commit",
    "apply.committed",
    "apply.probe",
    "apply.decide",
    "apply.decided",
    "apply.confirm",
    "apply.confirmed",
    "apply.abort",
    "apply.aborted",
    "apply.rollback",
    "apply.rolledback",
    "recover",
    "recover.abort",
    "catchup.prepare",
    "catchup.commit",
    "catchup.confirm",
)
"""
Those of a controller.
"""


def nowhere(point: str) -> Deferred[None]:
    """
    Stop nowhere.
    """
    return succeed(None)
