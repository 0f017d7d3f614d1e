"""
What hypothesis makes of NDN: components, names, packets; and ways to break them.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hermes.ndn.packet import component as c
from hermes.ndn.packet import lp
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.security.signers import DigestSigner, HmacSigner

numbers = st.one_of(st.integers(0, 300), st.integers(0, (1 << 64) - 1))

conventional = st.builds(
    lambda make, number: make(number),
    st.sampled_from([c.segment, c.byteOffset, c.version, c.timestamp, c.sequence]),
    numbers,
)

plainComponents = st.one_of(
    st.binary(max_size=12).map(c.generic),
    st.text("abc.-_~=%/ é", max_size=6).map(lambda text: c.generic(text.encode())),
    conventional,
    st.binary(max_size=8).map(c.keyword),
)

components = st.one_of(
    plainComponents,
    st.builds(c.typed, st.integers(3, 65535), st.binary(max_size=9)),
    st.binary(min_size=250, max_size=300).map(c.generic),
)

names = st.lists(components, max_size=6).map(Name)
longerNames = st.lists(components, min_size=1, max_size=6).map(Name)

metaInfos = st.builds(
    MetaInfo, st.one_of(st.integers(0, 4), numbers), st.one_of(st.just(0), numbers), st.none() | components
)

interestOptions: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "canBePrefix": st.booleans(),
        "mustBeFresh": st.booleans(),
        "hint": st.lists(names, max_size=3).map(tuple),
        "nonce": st.none() | st.integers(0, (1 << 32) - 1),
        "lifetime": st.just(4000) | numbers,
        "hopLimit": st.none() | st.integers(0, 255),
        "parameters": st.none() | st.binary(max_size=300),
    }
)

signers = st.one_of(st.just(DigestSigner()), st.builds(HmacSigner, st.binary(max_size=40), st.none() | names))

interests = st.builds(lambda name, options: encodeInterest(name, **options), longerNames, interestOptions)

signedInterests = st.builds(
    lambda name, options, signer, nonce, time, sequence: encodeInterest(
        name, **options, signer=signer, signatureNonce=nonce, signatureTime=time, signatureSequence=sequence
    ),
    longerNames,
    interestOptions,
    signers,
    st.none() | st.binary(min_size=1, max_size=9),
    st.none() | numbers,
    st.none() | numbers,
)

datas = st.builds(encodeData, names, st.none() | st.binary(max_size=400), signers, metaInfos)

lpFields: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "nackReason": st.none() | st.sampled_from([0, 50, 100, 150]) | numbers,
        "pitToken": st.none() | st.binary(min_size=1, max_size=32),
        "congestionMark": st.integers(0, 3) | numbers,
        "incomingFace": st.none() | numbers,
        "nextHopFace": st.none() | numbers,
        "cachePolicy": st.none() | numbers,
        "acks": st.lists(st.integers(0, (1 << 64) - 1), max_size=4).map(tuple),
        "txSequence": st.none() | st.integers(0, (1 << 64) - 1),
        "nonDiscovery": st.booleans(),
        "prefixAnnouncement": st.none() | st.binary(max_size=60),
    }
)

linkPackets = st.builds(
    lambda packet, fields: lp.encode(packet, **fields), st.one_of(interests, datas, signedInterests), lpFields
)


@st.composite
def broken(draw: st.DrawFn, packets: st.SearchStrategy[bytes]) -> bytes:
    """
    A packet in which a few bytes were changed, left out, put in or doubled; mostly such that it looks whole.
    """
    wire = bytearray(draw(packets))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(wire) - 1, 0)))
        kind = draw(st.sampled_from(["change", "flip", "cut", "insert", "double", "length"]))
        if kind == "change":
            wire[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == "flip" and wire:
            wire[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del wire[at : at + draw(st.integers(1, 4))]
        elif kind == "insert":
            wire[at:at] = draw(st.binary(min_size=1, max_size=4))
        elif kind == "double":
            wire[at:at] = wire[at : at + draw(st.integers(1, 20))]
        elif wire:
            wire[at] = draw(st.sampled_from([0, 1, 7, 252, 253, 254, 255]))
    if draw(st.booleans()) and len(wire) > 1:
        # The outer length right again, so that what is inside is looked at.
        value = bytes(wire[4:] if wire[1] == 253 else wire[2:])
        from hermes.ndn.packet.tlv import encodeNumber

        return bytes(wire[:1]) + encodeNumber(len(value)) + value
    return bytes(wire)
