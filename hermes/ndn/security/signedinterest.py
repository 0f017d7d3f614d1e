"""
Signed Interests (packet format v0.3, section "Signed Interest"): making them so that none is like another, and seeing
that none is taken twice. Those of v0.2 are understood too: their signature is in the last components of the name, and
some NFD clients still send them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from attrs import define, evolve, frozen

from hermes.ndn.packet.component import GENERIC, componentType, componentValue, number
from hermes.ndn.packet.interest import Interest, encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.signatureinfo import SignatureInfo, Signer, readSignatureInfo
from hermes.ndn.packet.tlv import only
from hermes.ndn.packet.typenumbers import SIGNATURE_INFO, SIGNATURE_VALUE
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.verifiers import Verifier
from hermes.values import Buffer


@frozen
class InterestSignature:
    """
    The signature of an Interest, wherever in it that was.

    @ivar name: the name without what the signature has added to it.
    @ivar info: what it says of itself; Nonce and time also where they were in the name (v0.2).
    @ivar parts: what it is of.
    @ivar value: the signature, not verified.
    """

    name: Name
    info: SignatureInfo
    parts: Sequence[Buffer]
    value: bytes

    def madeBy(self, verifier: Verifier) -> bool:
        """
        Whether this key has made it.
        """
        return verifier.verifies(self.info.signatureType, self.parts, self.value)


def signatureOf(interest: Interest) -> InterestSignature | None:
    """
    Find an Interest's signature.

    @return: L{None} where it has none.
    @raise PacketError: if it looks like one and is malformed.
    """
    name = interest.name
    if interest.signatureInfo is not None and interest.signatureValue is not None:
        return InterestSignature(name[:-1], interest.signatureInfo, interest.signed, interest.signatureValue)
    if len(name) < 4 or any(componentType(each) != GENERIC for each in name[-4:]):
        return None
    timestamp, nonce, infoElement, valueElement = map(componentValue, name[-4:])
    if infoElement[:1] != b"\x16" or valueElement[:1] != b"\x17" or len(timestamp) != 8 or not nonce:
        return None
    start, stop = only(infoElement, SIGNATURE_INFO, "SignatureInfo")
    info = evolve(readSignatureInfo(infoElement, start, stop), time=number(name[-4]), nonce=nonce)
    start, stop = only(valueElement, SIGNATURE_VALUE, "SignatureValue")
    return InterestSignature(name[:-4], info, (name[:-1].value,), valueElement[start:stop])


class InterestSigner:
    """
    Makes signed Interests, each with a Nonce and a time that is later than that of the one before.
    """

    def __init__(self, signer: Signer, now: Callable[[], float], random: Callable[[int], bytes]) -> None:
        """
        @param now: seconds since 1970.
        @param random: that many random bytes, C{os.urandom} for one.
        """
        self._signer = signer
        self._now = now
        self._random = random
        self._last = 0

    def encode(self, name: Name, **options: Any) -> bytes:
        """
        Make a signed Interest.

        @param options: as L{encodeInterest} takes them.
        @raise ValueError: as L{encodeInterest}.
        """
        self._last = max(int(self._now() * 1000), self._last + 1)
        return encodeInterest(
            name, signer=self._signer, signatureNonce=self._random(8), signatureTime=self._last, **options
        )


@define(eq=False)
class _Record:
    """
    What was last taken from a signer.
    """

    time: int
    sequence: int
    nonces: deque[bytes]
    seen: float


class ReplayGuard:
    """
    Sees that no signed Interest is taken twice. Each has a time, a number or a Nonce: a time has to be near enough to
    now, and later than the last of the same signer; a number has to be larger than the last; a Nonce must not be one of
    the last few.

    What it remembers is bounded: signers that are heard of least recently are forgotten.
    """

    def __init__(
        self, now: Callable[[], float], grace: float = 120, maxSigners: int = 1000, maxNonces: int = 1000
    ) -> None:
        """
        @param now: seconds since 1970.
        @param grace: how far from now a time may be, in seconds.
        @param maxSigners: how many are remembered.
        @param maxNonces: how many Nonces are remembered of each signer that sends neither times nor numbers.
        """
        self._now = now
        self._grace = grace
        self._maxSigners = maxSigners
        self._maxNonces = maxNonces
        self._records: OrderedDict[Name | bytes | None, _Record] = OrderedDict()

    def take(self, info: SignatureInfo) -> None:
        """
        Take a signed Interest whose signature has been verified.

        @raise Untrusted: if it was taken before, or may have been.
        """
        if info.time is None and info.sequence is None and info.nonce is None:
            raise Untrusted("a signed Interest has a time, a number or a Nonce")
        now = self._now()
        record = self._records.get(info.keyLocator)
        if info.time is not None and abs(info.time / 1000 - now) > self._grace:
            raise Untrusted("the time of a signed Interest is too far from ours")
        if record is None:
            record = _Record(-1, -1, deque(maxlen=self._maxNonces), now)
        if info.time is not None and info.time <= record.time:
            raise Untrusted("the time of a signed Interest is not later than that of the last one")
        if info.sequence is not None and info.sequence <= record.sequence:
            raise Untrusted("the number of a signed Interest is not larger than that of the last one")
        if info.time is None and info.sequence is None and info.nonce is not None:
            # Nobody says how long they may be.
            nonce = sha256(info.nonce).digest()
            if nonce in record.nonces:
                raise Untrusted("the Nonce of a signed Interest was used before")
            record.nonces.append(nonce)
        if info.time is not None:
            record.time = info.time
        if info.sequence is not None:
            record.sequence = info.sequence
        self._records[info.keyLocator] = record
        self._records.move_to_end(info.keyLocator)
        if len(self._records) > self._maxSigners:
            self._records.popitem(last=False)
