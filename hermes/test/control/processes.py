"""
Controllers and nodes as processes of their own, and the operator's command.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue

from hermes.test.processes import ProxyProcess

_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
_HERMES = "import sys; from hermes.cli import main; sys.argv[0] = 'hermes'; sys.exit(main())"


def environment() -> dict[str, str]:
    """
    That of a process of ours.
    """
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def twistd(reactor: Any, *arguments: str) -> ProxyProcess:
    """
    Start C{twistd -n} with these.
    """
    process = ProxyProcess(reactor)
    command = [sys.executable, "-c", _TWISTD, "-n", "--pidfile=", *arguments]
    reactor.spawnProcess(process, sys.executable, command, env=environment())
    return process


async def hermes(reactor: Any, *arguments: str) -> str:
    """
    Run the operator's command.

    @return: what it has printed.
    @raise AssertionError: where it fails.
    """
    running: Deferred[Any] = getProcessOutputAndValue(
        sys.executable, ["-c", _HERMES, *arguments], env=environment(), reactor=reactor
    )
    output, errors, status = await running
    if status:
        raise AssertionError(f"hermes {' '.join(arguments)}: {status}\n{(output + errors).decode()}")
    text: str = output.decode()
    return text
