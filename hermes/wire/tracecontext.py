"""
W3C Trace Context: the fields C{traceparent} and C{tracestate}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from attrs import frozen

SAMPLED: Final = 0x01
RANDOM: Final = 0x02
"""
Flags (sections 3.2.2.5 of Level 1 and 2).
"""

MAX_MEMBERS: Final = 32
"""
Members of a C{tracestate} (section 3.3.1.1).
"""

MAX_STATE: Final = 512
"""
Characters of a C{tracestate} that are passed on (section 3.3.1.5).
"""

_LONG_MEMBER = 128

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII | re.DOTALL)
_NO_TRACE = b"0" * 32
_NO_SPAN = b"0" * 16
_SIMPLE_KEY = rb"[a-z0-9][_0-9a-z\-*/]{0,255}"
_TENANT_KEY = rb"[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13}"
_VALUE = rb"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER = re.compile(rb"(" + _SIMPLE_KEY + rb"|" + _TENANT_KEY + rb")=" + _VALUE, re.ASCII)


@frozen
class TraceParent:
    """
    The value of C{traceparent} (section 3.2).

    @ivar traceID: 32 lower-case hexadecimal digits, not all zero.
    @ivar spanID: 16 of them: the sender's part of the trace.
    @ivar flags: those that are known: L{SAMPLED}, L{RANDOM}.
    """

    traceID: str
    spanID: str
    flags: int = 0

    @property
    def sampled(self) -> bool:
        """
        Whether the sender may have recorded its part.
        """
        return bool(self.flags & SAMPLED)

    @classmethod
    def parse(cls, value: bytes) -> TraceParent | None:
        """
        L{None} where C{value} is invalid: the trace then begins anew. Of a version that is not known yet, what this one
        has is read (section 3.2.4, "Versioning of traceparent").
        """
        match = _matched(value)
        if match is None:
            return None
        _, traceID, spanID, flags, _ = match.groups()
        return cls(traceID.decode("ascii"), spanID.decode("ascii"), int(flags, 16) & (SAMPLED | RANDOM))

    def value(self) -> bytes:
        """
        The field's value, in version 00.
        """
        return f"00-{self.traceID}-{self.spanID}-{self.flags:02x}".encode("ascii")


_HEXADECIMAL: Final = b"0123456789abcdef"


def traceIDOf(value: bytes) -> str | None:
    """
    No more than the trace that a C{traceparent} names; L{None} where it is invalid.
    """
    trace, span = value[3:35], value[36:52]
    # As nearly all are; the expression is for the others.
    if len(value) == 55 and value[:3] == b"00-" and value[35] == value[52] == 0x2D:
        digits = trace + span + value[53:]
        if not digits.translate(None, _HEXADECIMAL) and trace != _NO_TRACE and span != _NO_SPAN:
            return trace.decode("ascii")
    match = _matched(value)
    return None if match is None else match[2].decode("ascii")


def _matched(value: bytes) -> re.Match[bytes] | None:
    match = _PARENT.fullmatch(value)
    if match is None or match[2] == _NO_TRACE or match[3] == _NO_SPAN:
        return None
    version = match[1]
    return None if version == b"ff" or (version == b"00" and match[5] is not None) else match


def parseState(values: list[bytes]) -> bytes:
    """
    The C{tracestate} to pass on (section 3.3): empty where there is none, or where what came is invalid.

    @param values: of each field of that name, in order.
    """
    members = [member for value in values for part in value.split(b",") if (member := part.strip(b" \t"))]
    if len(members) > MAX_MEMBERS:
        return b""
    keys = set()
    for member in members:
        match = _MEMBER.fullmatch(member)
        if match is None or match[1] in keys:
            return b""
        keys.add(match[1])
    return b",".join(_limited(members))


def _limited(members: list[bytes]) -> list[bytes]:
    """
    Leave out the long ones first, then those at the end (section 3.3.1.5).
    """
    excess = sum(map(len, members)) + len(members) - 1 - MAX_STATE
    for index in reversed(range(len(members))):
        if excess > 0 and len(members[index]) > _LONG_MEMBER:
            excess -= len(members.pop(index)) + 1
    while excess > 0:
        excess -= len(members.pop()) + 1
    return members


def traceContext(headers: Iterable[tuple[bytes, bytes]]) -> tuple[TraceParent, bytes] | None:
    """
    The trace of which a request is part, and its C{tracestate}. L{None} where it is part of none, or what it says of
    it is invalid: nothing of it is then passed on (section 4.2).
    """
    parent = None
    states: list[bytes] = []
    for name, value in headers:
        if name == b"traceparent":
            if parent is not None:
                return None
            parent = value
        elif name == b"tracestate":
            states.append(value)
    if parent is None:
        return None
    context = TraceParent.parse(parent)
    return None if context is None else (context, parseState(states) if states else b"")
