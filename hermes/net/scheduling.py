"""
When the kernel lets the process run.
"""

from __future__ import annotations

import os
from typing import Any, Final

AUTO: Final = "auto"
BATCH: Final = "batch"
NORMAL: Final = "normal"
POLICIES: Final = (AUTO, BATCH, NORMAL)


def scheduleInBatches(kernel: Any = os) -> bool:
    """
    Do not interrupt whoever has woken this thread (SCHED_BATCH, sched(7)); it needs no right. A proxy is woken by each
    packet. As an ordinary process it takes the core at once from the program, or the proxy, that has sent it, which so
    never gets to send the second: every packet costs each process on its way two changes of context and a turn of the
    reactor. Let be, the sender fills the socket, and all of it is one turn. Where a core is free, nothing changes: the
    process runs at once. What there is to pay: on a core that somebody else keeps busy, it waits for the end of his
    slice, a few milliseconds.

    A process that has been given another policy than the ordinary one keeps it.

    @param kernel: stands in for the C{os} module.
    @return: whether it is scheduled so from now on.
    """
    try:
        if kernel.sched_getscheduler(0) != kernel.SCHED_OTHER:
            return False
        kernel.sched_setscheduler(0, kernel.SCHED_BATCH, kernel.sched_param(0))
    except (AttributeError, OSError):
        # No Linux, or a sandbox that does not allow it: it is no condition for anything.
        return False
    return True


def scheduledInBatches(kernel: Any = os) -> bool:
    """
    Whether the calling thread is.

    @param kernel: stands in for the C{os} module.
    """
    try:
        return bool(kernel.sched_getscheduler(0) == kernel.SCHED_BATCH)
    except (AttributeError, OSError):
        return False


def scheduleNormally(kernel: Any = os) -> bool:
    """
    Take L{scheduleInBatches} back. What somebody has chosen meanwhile stays.

    @param kernel: stands in for the C{os} module.
    @return: whether there was anything to take back.
    @raise OSError: if the kernel does not allow what it has allowed before.
    """
    if not scheduledInBatches(kernel):
        return False
    kernel.sched_setscheduler(0, kernel.SCHED_OTHER, kernel.sched_param(0))
    return True
