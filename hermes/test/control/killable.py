"""
Controllers and nodes that kill themselves, as C{kill -9} would, at a point of what they do.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed

import hermes.control.nodeservice
import hermes.control.tap
from hermes.control.nodeservice import ControlledNodeService
from hermes.control.service import ControllerService
from hermes.test.control.processes import environment
from hermes.test.processes import ProxyProcess

POINT = "HERMES_TEST_KILLED_AT"
"""
The environment variable that names the point.
"""


def stopAt(point: str) -> Deferred[None]:
    """
    A L{hermes.control.stops.StopAt}.
    """
    if point == os.environ.get(POINT):
        print(f"killed at {point}", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return succeed(None)


def run() -> None:
    """
    Be C{twistd}.
    """
    from twisted.scripts.twistd import run as runTwistd

    nodes: Any = hermes.control.nodeservice
    nodes.ControlledNodeService = partial(ControlledNodeService, stopAt=stopAt)
    controllerTap: Any = hermes.control.tap
    controllerTap.ControllerService = partial(ControllerService, stopAt=stopAt)
    sys.argv[0] = "twistd"
    runTwistd()


def killable(reactor: Any, point: str, *arguments: str) -> ProxyProcess:
    """
    Start C{twistd -n} with these.

    @param point: where it dies; empty for nowhere.
    """
    process = ProxyProcess(reactor)
    program = "from hermes.test.control.killable import run; run()"
    command = [sys.executable, "-c", program, "-n", "--pidfile=", *arguments]
    reactor.spawnProcess(process, sys.executable, command, env={**environment(), POINT: point})
    return process
