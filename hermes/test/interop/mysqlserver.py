"""
As much of a MySQL server as its client needs: the handshake, and one answer to every query.
"""

from __future__ import annotations

from hermes.test.interop.streams import Answering

# Protocol 4.1, secure connection, plugin authentication, connect with database, and what clients take for granted.
_CAPABILITIES = 0x00000001 | 0x00000008 | 0x00000200 | 0x00002000 | 0x00008000 | 0x00080000
_UTF8 = 33
_AUTOCOMMIT = 2
_OK = b"\x00\x00\x00" + _AUTOCOMMIT.to_bytes(2, "little") + b"\x00\x00"
_EOF = b"\xfe\x00\x00" + _AUTOCOMMIT.to_bytes(2, "little")
_QUIT, _QUERY, _PING = 1, 3, 14


def lengthEncoded(data: bytes) -> bytes:
    """
    A length-encoded string.
    """
    if len(data) < 251:
        return bytes([len(data)]) + data
    return b"\xfd" + len(data).to_bytes(3, "little") + data


class MySQLServer(Answering):
    """
    One connection. Who logs in is taken; C{SELECT REPEAT('text', n)} is answered, and the rest is done.
    """

    def connectionMade(self) -> None:
        greeting = (
            b"\x0a8.0.0-fake\x00"
            + (7).to_bytes(4, "little")
            + b"saltsalt\x00"
            + (_CAPABILITIES & 0xFFFF).to_bytes(2, "little")
            + bytes([_UTF8])
            + _AUTOCOMMIT.to_bytes(2, "little")
            + (_CAPABILITIES >> 16).to_bytes(2, "little")
            + bytes([21])
            + bytes(10)
            + b"saltsaltsalt\x00"
            + b"mysql_native_password\x00"
        )
        self._loggedIn = False
        self._send(0, greeting)

    def _send(self, sequence: int, *packets: bytes) -> None:
        for number, packet in enumerate(packets, sequence):
            self.write(len(packet).to_bytes(3, "little") + bytes([number]) + packet)

    def keep(self, data: bytes) -> None:
        super().keep(data)
        while len(self.received) >= 4:
            size = int.from_bytes(self.received[:3], "little")
            if len(self.received) < 4 + size:
                return
            sequence, packet = self.received[3], bytes(self.received[4 : 4 + size])
            del self.received[: 4 + size]
            self._packetReceived(sequence + 1, packet)

    def _packetReceived(self, sequence: int, packet: bytes) -> None:
        if not self._loggedIn:
            self._loggedIn = True
            self._send(sequence, _OK)
        elif packet[0] == _QUIT:
            self.socket.loseConnection()
        elif packet[0] == _QUERY and packet[1:].startswith(b"SELECT REPEAT("):
            text, _, times = packet[1:].removeprefix(b"SELECT REPEAT('").removesuffix(b")").partition(b"', ")
            self._send(sequence, *self._table(b"answer", text * int(times)))
        else:
            self._send(sequence, _OK)

    def _table(self, name: bytes, value: bytes) -> list[bytes]:
        """
        A result of one column and one row.
        """
        column = b"".join(map(lengthEncoded, (b"def", b"", b"", b"", name, name)))
        column += b"\x0c" + _UTF8.to_bytes(2, "little") + (1 << 20).to_bytes(4, "little") + b"\xfd\x00\x00\x00\x00\x00"
        return [b"\x01", column, _EOF, lengthEncoded(value), _EOF]
