"""
Packets as python-ndn, which we did not write, makes and reads them.
"""

from __future__ import annotations

from typing import Any

import ndn.encoding as enc
from hypothesis import given
from hypothesis import strategies as st
from ndn.encoding.ndnlp_v2 import LpPacket
from ndn.security import DigestSha256Signer, HmacSha256Signer
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet import lp
from hermes.ndn.packet.data import decodeData, encodeData
from hermes.ndn.packet.interest import decodeInterest, encodeInterest
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekData, peekInterest
from hermes.ndn.security.signers import DigestSigner, HmacSigner
from hermes.ndn.security.verifiers import DigestVerifier, HmacVerifier
from hermes.test.ndn.packet.strategies import (
    components,
    interestOptions,
    longerNames,
    metaInfos,
    names,
    numbers,
    plainComponents,
)

plainNames = st.lists(plainComponents, min_size=1, max_size=5).map(Name)


def theirName(name: Name) -> list[bytes]:
    """
    A name as python-ndn has it.
    """
    return list(name.components)


def ourName(name: Any) -> Name:
    """
    A name of python-ndn's.
    """
    return Name(map(bytes, name))


class NameTests(SynchronousTestCase):
    """
    Names.
    """

    @given(names)
    def test_elementsAreTheSame(self, name: Name) -> None:
        self.assertEqual(name.encode(), bytes(enc.Name.encode(theirName(name))))
        self.assertEqual(ourName(enc.Name.from_bytes(name.encode())), name)

    @given(plainNames)
    def test_urisAreTheSameWhereItHasNoRulesOfItsOwn(self, name: Name) -> None:
        # python-ndn writes an empty component as nothing, periods as they are, and any number as a number.
        if any(not enc.Component.get_value(each).tobytes().strip(b".") for each in name):
            return
        self.assertEqual(str(name), enc.Name.to_str(theirName(name)))
        self.assertEqual(name.toText(alternate=False), enc.Name.to_canonical_uri(theirName(name)))
        self.assertEqual(ourName(enc.Name.from_str(str(name))), name)

    @given(names, names)
    def test_prefixesAreTheSame(self, one: Name, other: Name) -> None:
        self.assertEqual(one.isPrefixOf(other), enc.Name.is_prefix(theirName(one), theirName(other)))

    def test_conventionsAreTheSame(self) -> None:
        for text in (
            "/a/seg=1000/off=7/v=1/t=1600000000000/seq=3",
            "/32=metadata/50=%00%01",
            "/sha256digest=" + "ab" * 32,
        ):
            self.assertEqual(Name.fromText(text), ourName(enc.Name.from_str(text)))


class InterestTests(SynchronousTestCase):
    """
    Interests.
    """

    @given(
        longerNames, interestOptions, st.sampled_from([None, DigestSigner(), HmacSigner(b"key", Name.fromText("/k"))])
    )
    def test_itReadsOurs(self, name: Name, options: dict[str, Any], signer: Any) -> None:
        wire = encodeInterest(name, **options, signer=signer, signatureTime=7 if signer else None)
        found, param, parameters, signature = enc.parse_interest(wire)
        ours = decodeInterest(wire)
        self.assertEqual(ourName(found), ours.name)
        self.assertEqual((param.can_be_prefix, param.must_be_fresh), (options["canBePrefix"], options["mustBeFresh"]))
        self.assertEqual((param.nonce, param.hop_limit), (options["nonce"], options["hopLimit"]))
        self.assertEqual(4000 if param.lifetime is None else param.lifetime, options["lifetime"])
        self.assertEqual(None if parameters is None else bytes(parameters), ours.parameters)
        self.assertEqual(tuple(map(ourName, param.forwarding_hint)), options["hint"])
        if signer is not None:
            self.assertEqual(signature.signature_info.signature_type, signer.signatureType)
            self.assertEqual(signature.signature_info.signature_time, 7)
            self.assertEqual(b"".join(signature.signature_covered_part), b"".join(ours.signed))

    @given(longerNames, interestOptions)
    def test_weReadTheirs(self, name: Name, options: dict[str, Any]) -> None:
        wire = bytes(enc.make_interest(theirName(name), self.param(options), options["parameters"]))
        interest = decodeInterest(wire)
        self.assertEqual(interest.name[: len(name)], name)
        for what, value in options.items():
            self.assertEqual(getattr(interest, what), value, what)
        view = peekInterest(wire)
        self.assertEqual((view.name, view.nonce), (interest.name.value, interest.nonce))
        if options["lifetime"] != 4000:
            # They write the default, too.
            self.assertEqual(encodeInterest(interest.name, **options), wire)

    @given(longerNames, interestOptions, st.binary(max_size=20))
    def test_weVerifyTheirs(self, name: Name, options: dict[str, Any], key: bytes) -> None:
        for signer, verifier in (
            (DigestSha256Signer(for_interest=True), DigestVerifier()),
            (HmacSha256Signer("/key", key), HmacVerifier(key)),
        ):
            wire = bytes(enc.make_interest(theirName(name), self.param(options), options["parameters"], signer))
            interest = decodeInterest(wire)
            assert interest.signatureInfo is not None and interest.signatureValue is not None
            self.assertTrue(
                verifier.verifies(interest.signatureInfo.signatureType, interest.signed, interest.signatureValue)
            )
            self.assertEqual(interest.parameters, options["parameters"] or b"")

    def param(self, options: dict[str, Any]) -> Any:
        """
        Our options as theirs.
        """
        return enc.InterestParam(
            options["canBePrefix"],
            options["mustBeFresh"],
            options["nonce"],
            options["lifetime"],
            options["hopLimit"],
            [theirName(each) for each in options["hint"]],
        )


class DataTests(SynchronousTestCase):
    """
    Data.
    """

    @given(names, metaInfos, st.none() | st.binary(max_size=300))
    def test_itReadsOurs(self, name: Name, metaInfo: MetaInfo, content: bytes | None) -> None:
        wire = encodeData(name, content, DigestSigner(), metaInfo)
        found, meta, theirContent, signature = enc.parse_data(wire)
        self.assertEqual(ourName(found), name)
        if metaInfo != MetaInfo():
            # Without a MetaInfo it returns an empty one of another class, or none.
            self.assertEqual(meta.content_type or 0, metaInfo.contentType)
            self.assertEqual(meta.freshness_period or 0, metaInfo.freshness)
            self.assertEqual(None if meta.final_block_id is None else bytes(meta.final_block_id), metaInfo.finalBlock)
        self.assertEqual(None if theirContent is None else bytes(theirContent), content)
        self.assertEqual(b"".join(signature.signature_covered_part), decodeData(wire).signed)

    @given(names, st.integers(0, 3), st.none() | numbers, st.none() | components, st.none() | st.binary(max_size=300))
    def test_weReadTheirs(
        self, name: Name, kind: int, freshness: int | None, finalBlock: bytes | None, content: bytes | None
    ) -> None:
        meta = enc.MetaInfo(kind, freshness, finalBlock)
        wire = bytes(enc.make_data(theirName(name), meta, content, DigestSha256Signer()))
        data = decodeData(wire)
        self.assertEqual((data.name, data.content), (name, content or b""))
        self.assertEqual(data.metaInfo, MetaInfo(kind, freshness or 0, finalBlock))
        self.assertTrue(DigestVerifier().verifies(0, (data.signed,), data.signatureValue))
        view = peekData(wire)
        self.assertEqual(
            (view.name, view.contentType, view.freshness, view.finalBlock),
            (name.value, kind, freshness or 0, finalBlock),
        )

    def test_signedByNobodyIsNoData(self) -> None:
        with self.assertRaises(ValueError):
            decodeData(bytes(enc.make_data("/a", enc.MetaInfo(), b"x")))


class LinkTests(SynchronousTestCase):
    """
    NDNLPv2.
    """

    @given(numbers, st.binary(min_size=1, max_size=100))
    def test_nacks(self, reason: int, fragment: bytes) -> None:
        self.assertEqual(enc.parse_network_nack(lp.encode(fragment, nackReason=reason)), (reason, memoryview(fragment)))
        found = lp.decode(bytes(enc.make_network_nack(fragment, reason)))
        self.assertEqual((found.nackReason, found.fragment), (reason, fragment))

    @given(
        st.binary(min_size=1, max_size=100),
        st.fixed_dictionaries(
            {
                "pitToken": st.none() | st.binary(min_size=1, max_size=32),
                "congestionMark": st.integers(0, 5),
                "incomingFace": st.none() | numbers,
                "nextHopFace": st.none() | numbers,
                "cachePolicy": st.none() | numbers,
                "nonDiscovery": st.booleans(),
                "prefixAnnouncement": st.none() | st.binary(max_size=10),
            }
        ),
    )
    def test_headers(self, fragment: bytes, fields: dict[str, Any]) -> None:
        wire = lp.encode(fragment, **fields)
        if wire == fragment:
            return
        theirs = enc.parse_lp_packet_v2(wire)
        self.assertEqual(bytes(theirs.fragment), fragment)
        self.assertEqual(theirs.pit_token, fields["pitToken"])
        self.assertEqual(theirs.congestion_mark or 0, fields["congestionMark"])
        self.assertEqual(
            (theirs.incoming_face_id, theirs.next_hop_face_id), (fields["incomingFace"], fields["nextHopFace"])
        )
        policy = None if theirs.cache_policy is None else theirs.cache_policy.cache_policy_type
        self.assertEqual(policy, fields["cachePolicy"])
        self.assertEqual(bool(theirs.non_discovery), fields["nonDiscovery"])
        self.assertEqual(theirs.prefix_announcement, fields["prefixAnnouncement"])
        whole = LpPacket()
        whole.lp_packet = theirs
        ours = lp.decode(bytes(whole.encode()))
        for what, value in fields.items():
            self.assertEqual(getattr(ours, what), value, what)
        self.assertEqual(ours.fragment, fragment)
