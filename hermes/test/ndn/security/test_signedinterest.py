"""
Tests for L{hermes.ndn.security.signedinterest}.
"""

from __future__ import annotations

from itertools import count

import ndn.encoding as enc
from ndn.app_support.nfd_mgmt import make_command, make_command_v2
from ndn.security import DigestSha256Signer
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.component import generic
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.interest import decodeInterest, encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.signatureinfo import SignatureInfo
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.signedinterest import InterestSigner, ReplayGuard, signatureOf
from hermes.ndn.security.signers import DigestSigner
from hermes.ndn.security.verifiers import DigestVerifier
from hermes.test.ndn.security.keys import NOW, Identity

NAME = Name.fromText("/localhost/nfd/rib/register")


class SignatureTests(SynchronousTestCase):
    """
    L{signatureOf}.
    """

    def test_ofPythonNdnsCommands(self) -> None:
        wire = enc.make_interest(
            make_command_v2("rib", "register", name="/a"),
            enc.InterestParam(),
            b"",
            DigestSha256Signer(for_interest=True),
        )
        signature = signatureOf(decodeInterest(bytes(wire)))
        assert signature is not None
        self.assertEqual(signature.name[:4], NAME)
        self.assertEqual(len(signature.name), 5)
        self.assertTrue(signature.madeBy(DigestVerifier()))
        self.assertIsNotNone(signature.info.time)

    def test_ofPythonNdnsOldCommands(self) -> None:
        wire = bytes(enc.make_interest(make_command("rib", "register", name="/a"), enc.InterestParam()))
        signature = signatureOf(decodeInterest(wire))
        assert signature is not None
        self.assertEqual(signature.name[:4], NAME)
        self.assertEqual(len(signature.name), 5)
        self.assertTrue(signature.madeBy(DigestVerifier()))
        assert signature.info.time is not None and signature.info.nonce is not None
        self.assertEqual(len(signature.info.nonce), 8)
        # What is signed is heeded: the time, for one, is in it.
        components = list(decodeInterest(wire).name)
        components[-4] = generic(bytes(8))
        changed = signatureOf(decodeInterest(encodeInterest(Name(components))))
        assert changed is not None
        self.assertFalse(changed.madeBy(DigestVerifier()))

    def test_ofWhatIsNotSigned(self) -> None:
        for name in ("/a", "/a/b/c/d/e", "/a/b/c/v=1"):
            self.assertIsNone(signatureOf(decodeInterest(encodeInterest(Name.fromText(name)))))
        self.assertIsNone(signatureOf(decodeInterest(encodeInterest(NAME, parameters=b""))))

    def test_whatOnlyLooksLikeOneIsAnErrorOrNone(self) -> None:
        time, nonce = generic(bytes(8)), generic(b"12345678")
        info, value = generic(b"\x16\x03\x1b\x01\x00"), generic(b"\x17\x00")
        base = Name.fromText("/a")
        self.assertIsNotNone(signatureOf(decodeInterest(encodeInterest(base + time + nonce + info + value))))
        for parts in (
            (generic(b"1"), nonce, info, value),
            (time, generic(b""), info, value),
            (time, nonce, value, info),
        ):
            self.assertIsNone(signatureOf(decodeInterest(encodeInterest(base + Name(parts)))))
        for parts in (
            (time, nonce, generic(b"\x16\x00"), value),
            (time, nonce, generic(b"\x16"), value),
            (time, nonce, info, generic(b"\x17\x05")),
        ):
            with self.assertRaises(PacketError):
                signatureOf(decodeInterest(encodeInterest(base + Name(parts))))


class InterestSignerTests(SynchronousTestCase):
    """
    L{InterestSigner}.
    """

    def test_eachHasALaterTimeAndARandomNonce(self) -> None:
        times = iter([NOW, NOW, NOW - 5, NOW + 0.0005, NOW + 1])
        numbers = count()
        signer = InterestSigner(DigestSigner(), lambda: next(times), lambda size: next(numbers).to_bytes(size, "big"))
        found = []
        for _ in range(5):
            signature = signatureOf(decodeInterest(signer.encode(NAME, nonce=1, lifetime=1000)))
            assert signature is not None
            self.assertTrue(signature.madeBy(DigestVerifier()))
            found.append((signature.info.time, signature.info.nonce))
        begin = NOW * 1000
        self.assertEqual([time for time, _ in found], [begin, begin + 1, begin + 2, begin + 3, begin + 1000])
        self.assertEqual([nonce for _, nonce in found], [number.to_bytes(8, "big") for number in range(5)])

    def test_withAKey(self) -> None:
        identity = Identity("/me")
        wire = InterestSigner(identity.signer, lambda: NOW, bytes).encode(NAME, parameters=b"x")
        interest = decodeInterest(wire)
        signature = signatureOf(interest)
        assert signature is not None
        self.assertTrue(signature.madeBy(identity.certificate.key))
        self.assertEqual(interest.parameters, b"x")


class ReplayGuardTests(SynchronousTestCase):
    """
    L{ReplayGuard}.
    """

    def setUp(self) -> None:
        self.now = float(NOW)
        self.guard = ReplayGuard(lambda: self.now, grace=60, maxSigners=3, maxNonces=3)

    def info(
        self, who: str = "/me", time: float | None = None, number: int | None = None, nonce: bytes | None = None
    ) -> SignatureInfo:
        """
        What a signed Interest says.
        """
        return SignatureInfo(3, Name.fromText(who), nonce, None if time is None else int(time * 1000), number)

    def refused(self, info: SignatureInfo) -> None:
        """
        Fail unless it is.
        """
        with self.assertRaises(Untrusted):
            self.guard.take(info)

    def test_timesHaveToGrow(self) -> None:
        self.guard.take(self.info(time=NOW))
        self.refused(self.info(time=NOW))
        self.refused(self.info(time=NOW - 1))
        self.guard.take(self.info(time=NOW + 0.001))
        self.guard.take(self.info("/other", time=NOW))

    def test_timesHaveToBeNearNow(self) -> None:
        for time in (NOW - 61, NOW + 61):
            self.refused(self.info(time=time))
        self.guard.take(self.info(time=NOW - 60))
        self.guard.take(self.info(time=NOW + 60))

    def test_aTimeThatWasRefusedIsNotRemembered(self) -> None:
        self.refused(self.info(time=NOW + 61))
        self.guard.take(self.info(time=NOW))

    def test_numbersHaveToGrow(self) -> None:
        self.guard.take(self.info(number=0))
        self.guard.take(self.info(number=7))
        self.refused(self.info(number=7))
        self.refused(self.info(number=6, time=NOW))
        self.guard.take(self.info(number=8, time=NOW))

    def test_noncesMayNotComeAgain(self) -> None:
        for nonce in (b"1", b"2", b"3"):
            self.guard.take(self.info(nonce=nonce))
            self.refused(self.info(nonce=nonce))
        self.guard.take(self.info("/other", nonce=b"1"))
        self.guard.take(self.info(nonce=b"4"))
        # The oldest was forgotten: there are three.
        self.guard.take(self.info(nonce=b"1"))

    def test_somethingHasToBeSaid(self) -> None:
        self.refused(self.info())

    def test_signersAreForgottenThatWereHeardOfLongAgo(self) -> None:
        for who in ("/1", "/2", "/3"):
            self.guard.take(self.info(who, number=1))
        self.guard.take(self.info("/1", number=2))
        self.guard.take(self.info("/4", number=1))
        for who in ("/1", "/3"):
            self.refused(self.info(who, number=1))
        self.guard.take(self.info("/2", number=1))
