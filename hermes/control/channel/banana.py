"""
Banana, the encoding under Perspective Broker: expressions are integers, floats, strings of bytes, and lists of these.

Twisted's own decoder bounds each string and each list, but not how many there are nor how deep, and copies what it has
not decoded yet with every item. This one takes time proportional to what it is given, and bounds an expression as a
whole before it is in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from struct import Struct
from typing import Any, TypeAlias

from twisted.spread.banana import Banana

from hermes.control.errors import ControlError

Expression: TypeAlias = Any
"""
An C{int}, C{float}, C{bytes} or a list of these.
"""

LIST, INT, STRING, NEG, FLOAT, LONGINT, LONGNEG, VOCAB = range(0x80, 0x88)
"""
The bytes that end the prefix of an item, and say what it is.
"""

MAX_PREFIX = 64
"""
How long the prefix of an item is at most: bytes of seven bits each.
"""

MAX_INT = 2 ** (7 * MAX_PREFIX) - 1
_LARGEST_INT = 2**31 - 1

VOCABULARY: dict[bytes, int] = dict(Banana.outgoingVocabulary)
"""
The words that the dialect C{pb} has numbers for.
"""

_WORDS = {number: word for word, number in VOCABULARY.items()}
_HEAD = re.compile(rb"([\x00-\x7f]{0,%d})([\x80-\xff])" % MAX_PREFIX)
_DOUBLE = Struct("!d")


class MalformedBanana(ControlError):
    """
    What arrived is not Banana, or exceeds a limit. What comes after it means nothing.
    """


class Decoder:
    """
    Makes expressions of bytes, however they are cut.

    @ivar most: bytes of one expression, encoded.
    @ivar depth: how deep lists are nested in one.
    @ivar items: how many items one has, in all its lists together.
    """

    def __init__(self, most: int, depth: int, items: int) -> None:
        self.most = most
        self.depth = depth
        self.items = items
        self._waiting = bytearray()
        # No item is complete before this many bytes are there.
        self._needed = 1
        self._lists: list[tuple[int, list[Expression]]] = []
        self._used = 0
        self._count = 0

    @property
    def idle(self) -> bool:
        """
        Whether all that has arrived was part of a whole expression.
        """
        return not (self._waiting or self._lists)

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Expression]:
        """
        Take bytes in and yield each expression that is complete. The limits may be changed between two of them.

        @raise MalformedBanana: see there.
        """
        if self._waiting or len(data) < self._needed:
            self._waiting += data
            if len(self._waiting) < self._needed:
                return
            data = self._waiting
        buffer = bytes(data)
        self._waiting.clear()
        position, size = 0, len(buffer)
        while position < size:
            head = _HEAD.match(buffer, position)
            if head is None:
                if size - position > MAX_PREFIX:
                    raise MalformedBanana("a prefix is too long")
                self._needed = size - position + 1
                break
            start = head.end()
            kind = buffer[start - 1]
            number = _number(head[1])
            item: Expression
            end = start
            if kind in (STRING, FLOAT):
                end = start + (number if kind == STRING else 8)
                self._check(end - position)
                if end > size:
                    self._needed = end - position
                    break
                item = buffer[start:end] if kind == STRING else _DOUBLE.unpack_from(buffer, start)[0]
            elif kind == LIST:
                self._check(start - position)
                # Each of its items has at least one byte.
                self._check(number)
                self._used += start - position
                position = start
                self._open(number)
                if number:
                    continue
                item = self._lists.pop()[1]
                end = -1
            elif kind in (INT, LONGINT):
                item = number
            elif kind in (NEG, LONGNEG):
                item = -number
            elif kind == VOCAB:
                item = _WORDS.get(number)
                if item is None:
                    raise MalformedBanana("a word is not in the vocabulary")
            else:
                raise MalformedBanana("there is no such type of item")
            if end >= 0:
                self._check(end - position)
                self._used += end - position
                position = end
            done, whole = self._add(item)
            if done:
                yield whole
        else:
            self._needed = 1
            return
        self._waiting += buffer[position:]

    def _check(self, more: int) -> None:
        if self._used + more > self.most:
            raise MalformedBanana(f"an expression has more than {self.most} bytes")

    def _open(self, length: int) -> None:
        if len(self._lists) >= self.depth:
            raise MalformedBanana(f"lists are nested more than {self.depth} deep")
        self._counted(length)
        self._lists.append((length, []))

    def _counted(self, more: int) -> None:
        self._count += more
        if self._count > self.items:
            raise MalformedBanana(f"an expression has more than {self.items} items")

    def _add(self, item: Expression) -> tuple[bool, Expression]:
        """
        Put an item where it belongs.

        @return: whether the expression is complete, and what it is.
        """
        lists = self._lists
        while lists:
            length, into = lists[-1]
            into.append(item)
            if len(into) < length:
                return False, None
            lists.pop()
            item = into
        self._used = self._count = 0
        return True, item


def _number(prefix: bytes) -> int:
    """
    Base 128, the least significant digit first.
    """
    if len(prefix) == 1:
        return prefix[0]
    number = 0
    for digit in reversed(prefix):
        number = number << 7 | digit
    return number


def _prefix(number: int, kind: int) -> bytes:
    if number < 128:
        return bytes((number, kind))
    digits = bytearray()
    while number:
        digits.append(number & 0x7F)
        number >>= 7
    digits.append(kind)
    return bytes(digits)


def encode(expression: Expression) -> bytes:
    """
    An expression in the dialect C{pb}.

    @raise TypeError: where something in it is not an expression.
    @raise OverflowError: for an integer of more than 448 bits.
    """
    parts: list[bytes] = []
    _encode(expression, parts.append)
    return b"".join(parts)


def encodeList(*parts: bytes) -> bytes:
    """
    A list of what is encoded already.
    """
    return _prefix(len(parts), LIST) + b"".join(parts)


def _encode(expression: Expression, write: Any) -> None:
    kind = type(expression)
    if kind is bytes:
        word = VOCABULARY.get(expression)
        if word is not None:
            write(_prefix(word, VOCAB))
        else:
            write(_prefix(len(expression), STRING))
            write(expression)
    elif kind is list or kind is tuple:
        write(_prefix(len(expression), LIST))
        for each in expression:
            _encode(each, write)
    elif kind is int:
        if abs(expression) > MAX_INT:
            raise OverflowError("an integer is too large to be sent")
        if expression < 0:
            write(_prefix(-expression, NEG if -expression <= _LARGEST_INT + 1 else LONGNEG))
        else:
            write(_prefix(expression, INT if expression <= _LARGEST_INT else LONGINT))
    elif kind is float:
        write(bytes((FLOAT,)))
        write(_DOUBLE.pack(expression))
    else:
        raise TypeError(f"Banana has no {kind.__name__}")
