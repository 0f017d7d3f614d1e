"""
Controllers and nodes that kill themselves, as C{kill -9} would, or fall asleep, at a point of what they do.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed

import hermes.control.nodeservice
import hermes.control.tap
from hermes.control.channel.backoff import Backoff
from hermes.control.membership import Membership
from hermes.control.nodeservice import ControlledNodeService
from hermes.control.service import ControllerService

POINT = "HERMES_TEST_KILLED_AT"
"""
The environment variable with the path of a file: while it is there, it holds the point, and the name of the signal that
a process which comes there sends itself.
"""

AGAIN = 0.5
"""
Seconds after which a node tries at the latest to find a controller again: here they are killed every few seconds, and
nodes would wait a minute for one that is killed so often.
"""


def stopAt(point: str) -> Deferred[None]:
    """
    A L{hermes.control.stops.StopAt}.
    """
    try:
        with open(os.environ[POINT], encoding="ascii") as file:
            wanted, signalled = file.read().split()
    except OSError:
        return succeed(None)
    if point == wanted:
        print(f"SIG{signalled} at {point}", flush=True)
        os.kill(os.getpid(), getattr(signal, f"SIG{signalled}"))
    return succeed(None)


def run() -> None:
    """
    Be C{twistd}.
    """
    from twisted.scripts.twistd import run as runTwistd

    if os.environ.get(POINT):
        nodes: Any = hermes.control.nodeservice
        nodes.ControlledNodeService = partial(ControlledNodeService, stopAt=stopAt)
        nodes.Membership = partial(Membership, backoff=lambda: Backoff(0.1, AGAIN))
        controllerTap: Any = hermes.control.tap
        controllerTap.ControllerService = partial(ControllerService, stopAt=stopAt)
    runTwistd()
