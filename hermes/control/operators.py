"""
The operators that a controller knows by a token, in a file of its own.
"""

from __future__ import annotations

import json
import os

from twisted.logger import Logger

from hermes.control.agent.files import Files
from hermes.control.operator.access import digest, newToken

FILE = "operators.json"
"""
Names of operators, and of each the SHA-256 of the token, in hexadecimal.
"""

TOKEN = "operator.token"
"""
The token of the first operator, as it was made; for whoever may read the controller's directory.
"""

FIRST = "operator"


class OperatorTokens:
    """
    Read again when the file has changed.
    """

    log = Logger()

    def __init__(self, files: Files) -> None:
        """
        @param files: a directory of the controller's own.
        """
        self._files = files
        self._read: tuple[int, int] | None = None
        self._tokens: dict[str, str] = {}

    def start(self) -> bool:
        """
        Make the first operator where there is none.

        @return: whether that was done: its token is in L{TOKEN} then.
        @raise OSError: where the files can't be written.
        """
        self._files.create()
        if FILE in self._files.names():
            return False
        token = newToken()
        self._files.write(TOKEN, token.encode() + b"\n")
        self._files.write(FILE, json.dumps({FIRST: digest(token)}, indent=1).encode() + b"\n")
        return True

    def __call__(self) -> dict[str, str]:
        """
        Names by digest. While the file can't be read, those that were.
        """
        try:
            found = os.stat(self._files.path(FILE))
            read = (found.st_mtime_ns, found.st_ino)
            if read != self._read:
                names = json.loads(self._files.read(FILE))
                self._tokens = {str(each): str(name) for name, each in names.items()}
                self._read = read
        except (OSError, ValueError, AttributeError) as error:
            self.log.error("{file} can't be read: {error}", file=FILE, error=error)
        return self._tokens
