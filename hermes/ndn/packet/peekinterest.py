"""
What a forwarder reads of an Interest, without decoding the rest.

The hot path of everything: types and lengths of one byte are spelt out, the rest goes to L{hermes.ndn.packet.tlv}.
"""

from __future__ import annotations

from hashlib import sha256

from hermes.ndn.packet.component import PARAMETERS_DIGEST
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import componentEnds, openPacket
from hermes.ndn.packet.tlv import elements, encodeNumber, passOver, readHead, readNonNegative
from hermes.ndn.packet.typenumbers import (
    APPLICATION_PARAMETERS,
    CAN_BE_PREFIX,
    DEFAULT_LIFETIME,
    DELEGATION,
    FORWARDING_HINT,
    HOP_LIMIT,
    INTEREST,
    INTEREST_LIFETIME,
    MUST_BE_FRESH,
    NAME,
    NONCE,
)
from hermes.values import Buffer

# The order of an Interest's elements.
_PLACES = {
    CAN_BE_PREFIX: 1,
    MUST_BE_FRESH: 2,
    FORWARDING_HINT: 3,
    NONCE: 4,
    INTEREST_LIFETIME: 5,
    HOP_LIMIT: 6,
    APPLICATION_PARAMETERS: 7,
}


class InterestView:
    """
    An Interest as a forwarder sees it.

    @ivar wire: the whole packet.
    @ivar name: the value of its name: the components' TLV elements.
    @ivar ends: where in C{name} each component ends; at least one.
    @ivar hint: the forwarding hint: values of names, empty where there is none.
    @ivar nonce: its Nonce, 0 to 2^32 - 1, or L{None}.
    @ivar lifetime: InterestLifetime, in milliseconds.
    @ivar hopLimit: 0 to 255, or L{None}.
    @ivar hopLimitOffset: where in C{wire} the byte of the hop limit is; 0 where there is none.
    @ivar nonceOffset: where in C{wire} the Nonce element belongs: where it is, or, without one, where it has to be put.
    @ivar congestionMark: the mark that it came with (NDNLPv2) and goes on with, 0 for none; see L{marked}.
    """

    __slots__ = (
        "canBePrefix",
        "ends",
        "hint",
        "hopLimit",
        "hopLimitOffset",
        "lifetime",
        "mustBeFresh",
        "name",
        "nonce",
        "nonceOffset",
        "wire",
    )

    wire: bytes
    name: bytes
    ends: tuple[int, ...]
    canBePrefix: bool
    mustBeFresh: bool
    hint: tuple[bytes, ...]
    nonce: int | None
    lifetime: int
    hopLimit: int | None
    hopLimitOffset: int
    nonceOffset: int
    congestionMark: int = 0

    def withHopLimit(self, hopLimit: int) -> InterestView:
        """
        The same Interest with another hop limit.

        @param hopLimit: 0 to 255.
        @raise ValueError: if it has none.
        """
        at = self.hopLimitOffset
        if not at:
            raise ValueError("the Interest has no HopLimit")
        other = self._copy()
        wire = self.wire
        other.wire = b"%b%c%b" % (wire[:at], hopLimit, wire[at + 1 :])
        other.hopLimit = hopLimit
        return other

    def withNonce(self, nonce: int) -> InterestView:
        """
        The same Interest with another Nonce, or one where it has none.

        @param nonce: 0 to 2^32 - 1.
        """
        at = self.nonceOffset
        wire = self.wire
        element = b"\x0a\x04" + nonce.to_bytes(4, "big")
        if self.nonce is not None:
            other = self._copy()
            other.wire = b"".join((wire[:at], element, wire[at + 6 :]))
            other.nonce = nonce
            return other
        start = readHead(wire, 0, len(wire))[1]
        size = encodeNumber(len(wire) - start + 6)
        return peekInterest(b"".join((b"\x05", size, wire[start:at], element, wire[at:])))

    def _copy(self) -> InterestView:
        other = InterestView.__new__(InterestView)
        other.name = self.name
        other.ends = self.ends
        other.canBePrefix = self.canBePrefix
        other.mustBeFresh = self.mustBeFresh
        other.hint = self.hint
        other.nonce = self.nonce
        other.lifetime = self.lifetime
        other.hopLimit = self.hopLimit
        other.hopLimitOffset = self.hopLimitOffset
        other.nonceOffset = self.nonceOffset
        return other

    def __repr__(self) -> str:
        return f"<InterestView {self.name!r}>"


class MarkedInterestView(InterestView):
    """
    An Interest that came with a congestion mark. Few do: the others have no place for one.
    """

    __slots__ = ("congestionMark",)

    congestionMark: int

    def withHopLimit(self, hopLimit: int) -> InterestView:
        return marked(super().withHopLimit(hopLimit), self.congestionMark)

    def withNonce(self, nonce: int) -> InterestView:
        return marked(super().withNonce(nonce), self.congestionMark)


def marked(view: InterestView, congestionMark: int) -> InterestView:
    """
    The same Interest with a congestion mark, or as it is where that is 0.
    """
    if not congestionMark:
        return view
    other = MarkedInterestView.__new__(MarkedInterestView)
    for each in InterestView.__slots__:
        setattr(other, each, getattr(view, each))
    other.congestionMark = congestionMark
    return other


def peekInterest(wire: Buffer) -> InterestView:
    """
    Read an Interest. The digest of its parameters, if it has any, is verified; its signature is not.

    @param wire: the whole packet, copied unless it is L{bytes}.
    @raise PacketError: if it is malformed.
    """
    if wire.__class__ is not bytes:
        wire = bytes(wire)
    size = len(wire)
    nameStart = nameEnd = 0
    try:
        length = wire[1]
        if length < 253 and wire[0] == INTEREST and wire[2] == NAME and length + 2 == size:
            nameEnd = 4 + wire[3]
            # A length of 253 and more leads beyond the packet's end here.
            if nameEnd <= size:
                nameStart = 4
    except IndexError:
        pass
    if not nameStart:
        nameStart, nameEnd = openPacket(wire, INTEREST, "an Interest")

    ends = []
    position = nameStart
    parametersDigest = 0
    try:
        while position < nameEnd:
            kind = wire[position]
            length = wire[position + 1]
            position += 2 + length
            if length > 252 or kind > 252 or kind <= PARAMETERS_DIGEST:
                if kind == PARAMETERS_DIGEST and length == 32 and not parametersDigest:
                    parametersDigest = position - 32
                else:
                    raise IndexError
            ends.append(position - nameStart)
        if position != nameEnd:
            raise IndexError
    except IndexError:
        ends = componentEnds(wire, nameStart, nameEnd)
        parametersDigest = _findDigest(wire, nameStart, ends)
    if not ends:
        raise PacketError("the name of an Interest has at least one component")

    view = InterestView.__new__(InterestView)
    view.wire = wire
    view.name = wire[nameStart:nameEnd]
    view.ends = tuple(ends)
    view.canBePrefix = view.mustBeFresh = False
    view.hint = ()
    view.nonce = view.hopLimit = None
    view.lifetime = DEFAULT_LIFETIME
    view.hopLimitOffset = 0
    view.nonceOffset = 0
    parameters = 0
    place = 0
    position = nameEnd
    while position < size:
        begin = position
        kind, start, position = wire[begin], begin + 2, 0
        if kind < 253 and start <= size:
            length = wire[begin + 1]
            if length < 253:
                position = start + length
        if not position or position > size or not kind:
            kind, start, position = readHead(wire, begin, size)
        at = _PLACES.get(kind, 0)
        if at <= place:
            passOver(kind, "an Interest")
            continue
        place = at
        if kind == NONCE:
            if position - start != 4:
                raise PacketError(f"a Nonce has 4 bytes, not {position - start}")
            view.nonce = int.from_bytes(wire[start:position], "big")
            view.nonceOffset = begin
        elif kind in (CAN_BE_PREFIX, MUST_BE_FRESH):
            if position != start:
                raise PacketError("CanBePrefix and MustBeFresh are empty")
            if kind == CAN_BE_PREFIX:
                view.canBePrefix = True
            else:
                view.mustBeFresh = True
        elif kind == INTEREST_LIFETIME:
            view.lifetime = readNonNegative(wire, start, position)
        elif kind == HOP_LIMIT:
            if position - start != 1:
                raise PacketError(f"a HopLimit has 1 byte, not {position - start}")
            view.hopLimit = wire[start]
            view.hopLimitOffset = start
        elif kind == FORWARDING_HINT:
            view.hint = readHint(wire, start, position)
        else:
            parameters = begin
        if not view.nonceOffset and place > _NONCE_PLACE:
            view.nonceOffset = begin
    if not view.nonceOffset:
        view.nonceOffset = size
    if parameters or parametersDigest:
        checkParameters(wire, parametersDigest, parameters)
    return view


_NONCE_PLACE = _PLACES[NONCE]


def _findDigest(wire: bytes, nameStart: int, ends: list[int]) -> int:
    """
    Where the value of the one ParametersSha256DigestComponent is; 0 where there is none.
    """
    found = begin = 0
    for end in ends:
        if wire[nameStart + begin] == PARAMETERS_DIGEST:
            if found:
                raise PacketError("a name has at most one digest of parameters")
            found = nameStart + end - 32
        begin = end
    return found


def checkParameters(wire: bytes, digestStart: int, parametersStart: int) -> None:
    """
    Verify the digest of an Interest's parameters.

    @param digestStart: where the digest in its name is, 32 bytes; 0 for none.
    @param parametersStart: where its ApplicationParameters element begins; 0 for none.
    @raise PacketError: if one is without the other, or the digest is not that of what begins there.
    """
    if not parametersStart:
        raise PacketError("the name has a digest of parameters, and the Interest no parameters")
    if not digestStart:
        raise PacketError("the Interest has parameters, and its name no digest of them")
    if sha256(memoryview(wire)[parametersStart:]).digest() != wire[digestStart : digestStart + 32]:
        raise PacketError("the digest of parameters in the name is not that of the parameters")


def readHint(wire: bytes, start: int, stop: int) -> tuple[bytes, ...]:
    """
    Read a ForwardingHint: names, or delegations as they were before 2021, whose preference is passed over.

    @return: values of names, in order.
    @raise PacketError: if it is malformed.
    """
    names = []
    for kind, begin, end in elements(wire, start, stop):
        if kind == DELEGATION:
            for inner, innerBegin, innerEnd in elements(wire, begin, end):
                if inner == NAME:
                    kind, begin, end = inner, innerBegin, innerEnd
                    break
            else:
                raise PacketError("a delegation has no Name")
        if kind == NAME:
            componentEnds(wire, begin, end)
            names.append(wire[begin:end])
        else:
            passOver(kind, "a ForwardingHint")
    return tuple(names)
