"""
As much of a Redis server as its client needs: RESP2, a few commands, pipelines.
"""

from __future__ import annotations

from hermes.test.interop.streams import Answering


class RedisServer(Answering):
    """
    One connection.
    """

    def __init__(self, stored: dict[bytes, bytes]) -> None:
        super().__init__()
        self._stored = stored

    def keep(self, data: bytes) -> None:
        super().keep(data)
        while (command := self._command()) is not None:
            self.write(self._answer(command))

    def _command(self) -> list[bytes] | None:
        """
        The next command, taken from what has come, if it is whole.
        """
        lines, position = bytes(self.received), 0
        arguments: list[bytes] = []
        count = -1
        while count < 0 or len(arguments) < count:
            end = lines.find(b"\r\n", position)
            if end < 0:
                return None
            number = int(lines[position + 1 : end])
            position = end + 2
            if count < 0:
                count = number
            elif len(lines) < position + number + 2:
                return None
            else:
                arguments.append(lines[position : position + number])
                position += number + 2
        del self.received[:position]
        return arguments

    def _answer(self, command: list[bytes]) -> bytes:
        match command[0].upper(), *command[1:]:
            case b"SET", key, value:
                self._stored[key] = value
                return b"+OK\r\n"
            case b"GET", key:
                found = self._stored.get(key)
                return b"$-1\r\n" if found is None else b"$%d\r\n%s\r\n" % (len(found), found)
            case b"INCRBY", key, by:
                number = b"%d" % (int(self._stored.get(key, b"0")) + int(by))
                self._stored[key] = number
                return b":%s\r\n" % number
            case b"PING", *_:
                return b"+PONG\r\n"
            case b"CLIENT", *_:
                return b"+OK\r\n"
            case _:
                return b"-ERR unknown command '%s'\r\n" % command[0]
