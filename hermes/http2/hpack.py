"""
HPACK (RFC 7541) for many small heads: header lists to blocks and back. Sans-IO.

Most of a head has been seen before: on this connection, so that it is in the dynamic table, or on any other, so that
its bytes and what they mean are remembered. What is remembered is bounded, and shared by all connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from hpack.exceptions import HPACKDecodingError, InvalidTableIndex, OversizedHeaderListError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

Field: TypeAlias = "tuple[bytes, bytes]"

MAX_TABLE: Final = 4096
"""
The largest dynamic table that we keep, bytes as RFC 7541 section 4.1 counts them, however much the peer offers.
"""

_STATIC: Final[tuple[Field, ...]] = tuple(HeaderTable.STATIC_TABLE)
_FIRST_DYNAMIC: Final = len(_STATIC) + 1
_OVERHEAD: Final = 32

_MAX_REMEMBERED: Final = 4096
_MAX_SIGHTINGS: Final = 512
# What is longer is not worth its memory.
_MAX_LENGTH: Final = 256

# What must not be found by whoever can watch lengths and make requests of its own (RFC 7541 section 7.1.3).
_NEVER_INDEXED: Final = frozenset({b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"})

# What is different in each message: to index it would push out what is not.
_NEVER_REPEATED: Final = frozenset(
    (
        b":path",
        b"content-length",
        b"date",
        b"etag",
        b"age",
        b"last-modified",
        b"expires",
        b"traceparent",
        b"x-request-id",
    )
)


def encodeInteger(value: int, bits: int, flags: int) -> bytes:
    """
    An integer with a prefix of C{bits} bits, below C{flags} (RFC 7541 section 5.1).
    """
    most = (1 << bits) - 1
    if value < most:
        return bytes((flags | value,))
    out = bytearray((flags | most,))
    value -= most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_INDEXED: Final = tuple(encodeInteger(index, 7, 0x80) for index in range(_FIRST_DYNAMIC + MAX_TABLE // _OVERHEAD + 1))
_LENGTHS: Final = tuple(encodeInteger(length, 7, 0) for length in range(1024))
_STATIC_FIELDS: Final = {field: _INDEXED[place] for place, field in reversed(list(enumerate(_STATIC, 1))) if field[1]}
_STATIC_NAMES: Final = {name: place for place, (name, _) in reversed(list(enumerate(_STATIC, 1)))}


def _length(value: bytes) -> bytes:
    size = len(value)
    return _LENGTHS[size] if size < 1024 else encodeInteger(size, 7, 0)


# The first bytes of a literal, up to its value: by how it is to be indexed, then by name.
_Prefixes: TypeAlias = "dict[bytes, bytes]"


def _prefix(name: bytes, bits: int, flags: int, prefixes: _Prefixes) -> bytes:
    place = _STATIC_NAMES.get(name)
    prefix = bytes((flags,)) + _length(name) + name if place is None else encodeInteger(place, bits, flags)
    if len(name) <= _MAX_LENGTH:
        if len(prefixes) >= _MAX_REMEMBERED:
            prefixes.clear()
        prefixes[name] = prefix
    return prefix


_plainPrefixes: _Prefixes = {}
_indexingPrefixes: _Prefixes = {}
_neverPrefixes: _Prefixes = {}


class Encoder:
    """
    Writes header blocks. A field that comes for the second time is put into the table; strings are not compressed: the
    time is worth more than the bytes.
    """

    def __init__(self) -> None:
        self._maxSize = MAX_TABLE
        # Sizes that the peer's decoder must be told with the next block (RFC 7541 section 4.2).
        self._changes: list[int] = []
        self._table: list[Field] = []
        self._size = 0
        # By which number each field of the table was put in, of those that were ever put in.
        self._places: dict[Field, int] = {}
        self._inserted = 0
        self._seen: set[Field] = set()

    @property
    def header_table_size(self) -> int:
        """
        What h2 calls the size of the table; it sets it as the peer's SETTINGS say.
        """
        return self._maxSize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        size = min(value, MAX_TABLE)
        if size != self._maxSize:
            self._maxSize = size
            self._changes.append(size)
            if len(self._changes) > 2:
                self._changes = [min(self._changes), size]
            self._shrink()

    def encode(self, fields: Sequence[Field]) -> bytes:
        """
        A header block.
        """
        out: list[bytes] = []
        append = out.append
        if self._changes:
            out.extend(encodeInteger(size, 5, 0x20) for size in self._changes)
            self._changes = []
        places, newest = self._places, self._inserted + _FIRST_DYNAMIC - 1
        for field in fields:
            place = places.get(field)
            if place is not None:
                append(_INDEXED[newest - place])
                continue
            static = _STATIC_FIELDS.get(field)
            if static is not None:
                append(static)
                continue
            name, value = field
            if name in _NEVER_INDEXED:
                append(_neverPrefixes.get(name) or _prefix(name, 4, 0x10, _neverPrefixes))
            elif name in _NEVER_REPEATED or not self._again(field):
                append(_plainPrefixes.get(name) or _prefix(name, 4, 0, _plainPrefixes))
            else:
                append(_indexingPrefixes.get(name) or _prefix(name, 6, 0x40, _indexingPrefixes))
                self._insert(field)
                newest = self._inserted + _FIRST_DYNAMIC - 1
            size = len(value)
            append(_LENGTHS[size] if size < 1024 else encodeInteger(size, 7, 0))
            append(value)
        return b"".join(out)

    def _again(self, field: Field) -> bool:
        seen = self._seen
        if field in seen:
            seen.discard(field)
            return len(field[0]) + len(field[1]) + _OVERHEAD <= self._maxSize >> 2
        if len(seen) >= _MAX_SIGHTINGS:
            seen.clear()
        if len(field[1]) <= _MAX_LENGTH:
            seen.add(field)
        return False

    def _insert(self, field: Field) -> None:
        self._table.append(field)
        self._places[field] = self._inserted
        self._inserted += 1
        self._size += len(field[0]) + len(field[1]) + _OVERHEAD
        if self._size > self._maxSize:
            self._shrink()

    def _shrink(self) -> None:
        table, gone = self._table, 0
        while self._size > self._maxSize:
            field = table[gone]
            gone += 1
            self._size -= len(field[0]) + len(field[1]) + _OVERHEAD
            del self._places[field]
        del table[:gone]


_inflated: dict[bytes, bytes] = {}


def _inflate(data: bytes) -> bytes:
    text = _inflated.get(data)
    if text is None:
        text = decode_huffman(data)
        if len(data) <= _MAX_LENGTH:
            if len(_inflated) >= _MAX_REMEMBERED:
                _inflated.clear()
            _inflated[data] = text
    return text


class Decoder:
    """
    Reads header blocks.

    @ivar size: of the header list that was read last, bytes as RFC 9113 section 6.5.2 counts them.
    @ivar max_allowed_table_size: how large a table the peer may ask for, bytes; h2 sets it.
    """

    def __init__(self, maxHeaderList: int) -> None:
        """
        @param maxHeaderList: the largest header list, bytes as RFC 9113 section 6.5.2 counts them.
        """
        self.max_header_list_size = maxHeaderList
        self.size = 0
        self.max_allowed_table_size = MAX_TABLE
        self.header_table_size = MAX_TABLE
        # The newest is the last.
        self._table: list[Field] = []
        self._size = 0

    def decode(self, block: bytes) -> list[Field]:
        """
        The header list of a block.

        @raise hpack.exceptions.HPACKError: where it is none, or is too long.
        """
        fields: list[Field] = []
        append = fields.append
        table, position, end, changes, left = self._table, 0, len(block), 0, self.max_header_list_size
        try:
            while position < end:
                byte = block[position]
                if byte & 0x80:
                    index = byte & 0x7F
                    position += 1
                    if index == 0x7F:
                        index, position = _readInteger(block, position, 0x7F)
                    field = self._field(index) if index >= _FIRST_DYNAMIC or not index else _STATIC[index - 1]
                    append(field)
                    left -= len(field[0]) + len(field[1]) + _OVERHEAD
                    if left < 0:
                        raise OversizedHeaderListError("a header list beyond the bound")
                    continue
                if byte & 0xE0 == 0x20:
                    size, position = _readPrefixed(block, position, 0x1F)
                    changes += 1
                    # More than two would be work for nothing (RFC 7541 section 4.2).
                    if fields or changes > 2 or size > self.max_allowed_table_size:
                        raise HPACKDecodingError("a table size update that must not be")
                    self.header_table_size = size
                    self._shrink()
                    continue
                mask = 0x3F if byte & 0x40 else 0x0F
                index = byte & mask
                position += 1
                if index == mask:
                    index, position = _readInteger(block, position, mask)
                if not index:
                    name, position = _readString(block, position, end)
                elif index < _FIRST_DYNAMIC:
                    name = _STATIC[index - 1][0]
                else:
                    name = self._field(index)[0]
                # The value, as _readString reads it: this is where most of the time goes.
                byte2 = block[position]
                position += 1
                length = byte2 & 0x7F
                if length == 0x7F:
                    length, position = _readInteger(block, position, 0x7F)
                stop = position + length
                if stop > end:
                    raise HPACKDecodingError("a string beyond the block's end")
                value = block[position:stop]
                position = stop
                if byte2 & 0x80:
                    value = _inflate(value)
                field = (name, value)
                append(field)
                cost = len(name) + len(value) + _OVERHEAD
                left -= cost
                if left < 0:
                    raise OversizedHeaderListError("a header list beyond the bound")
                if byte & 0x40:
                    table.append(field)
                    self._size += cost
                    if self._size > self.header_table_size:
                        self._shrink()
        except IndexError:
            raise HPACKDecodingError("a block that is cut short") from None
        self.size = self.max_header_list_size - left
        if self.header_table_size > self.max_allowed_table_size:
            raise HPACKDecodingError("the table was not made smaller, as we asked")
        return fields

    def _field(self, index: int) -> Field:
        place = index - _FIRST_DYNAMIC
        if not 0 <= place < len(self._table):
            raise InvalidTableIndex(f"no field has the index {index}")
        return self._table[-1 - place]

    def _shrink(self) -> None:
        table, gone = self._table, 0
        while self._size > self.header_table_size:
            field = table[gone]
            gone += 1
            self._size -= len(field[0]) + len(field[1]) + _OVERHEAD
        del table[:gone]


def _readPrefixed(block: bytes, position: int, mask: int) -> tuple[int, int]:
    value = block[position] & mask
    return (value, position + 1) if value < mask else _readInteger(block, position + 1, mask)


def _readInteger(block: bytes, position: int, value: int) -> tuple[int, int]:
    """
    The bytes behind a prefix that was full.
    """
    shift = 0
    while True:
        byte = block[position]
        position += 1
        value += (byte & 127) << shift
        if not byte & 128:
            return value, position
        shift += 7
        if shift > 28:
            raise HPACKDecodingError("an integer of too many bytes")


def _readString(block: bytes, position: int, end: int) -> tuple[bytes, int]:
    byte = block[position]
    position += 1
    length = byte & 0x7F
    if length == 0x7F:
        length, position = _readInteger(block, position, 0x7F)
    stop = position + length
    if stop > end:
        raise HPACKDecodingError("a string beyond the block's end")
    value = block[position:stop]
    return (_inflate(value) if byte & 0x80 else value), stop
