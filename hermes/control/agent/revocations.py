"""
The certificates that are revoked, as the node was last told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.agent.core import InThread
from hermes.control.agent.files import Files

FILE = "revoked.json"


class Revocations:
    """
    Kept on disk, so that a node that starts without a controller turns away who was revoked.

    @ivar serials: the serial numbers, in hexadecimal.
    """

    log = Logger()

    def __init__(self, files: Files, inThread: InThread, changed: Callable[[frozenset[str]], object]) -> None:
        """
        @param changed: called with the serial numbers when they are known and whenever they change: it is to refuse
            handshakes and to close connections.
        """
        self.serials: frozenset[str] = frozenset()
        self._files = files
        self._inThread = inThread
        self._changed = changed

    def load(self) -> None:
        """
        Read what was told before. A file that can't be read is told of, and is as good as none: the controller tells
        all of them again.
        """
        try:
            self._files.create()
            found = json.loads(self._files.read(FILE))
            self.serials = frozenset(str(each) for each in found)
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError) as error:
            self.log.error("{file} can't be read, who was revoked is not known: {error}", file=FILE, error=error)
            return
        self._changed(self.serials)

    def set(self, serials: Sequence[str]) -> Deferred[None]:
        """
        These are revoked, and no others. Holds at once; fires when it is on disk, and where it can't be.
        """
        before, self.serials = self.serials, frozenset(serials)
        if self.serials != before:
            self._changed(self.serials)
        data = json.dumps(sorted(self.serials)).encode()
        return self._inThread(self._files.write, FILE, data).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self.log.failure("who was revoked can't be written down", failure)
