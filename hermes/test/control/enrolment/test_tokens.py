"""
Tokens.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.enrolment.errors import BadToken
from hermes.control.enrolment.tokens import Token

SECRETS = st.binary(min_size=20, max_size=20)
FINGERPRINTS = st.binary(min_size=32, max_size=32)


class Tokens(SynchronousTestCase):
    """
    From a token to text and back.
    """

    @given(SECRETS, FINGERPRINTS)
    def test_what_is_written_is_read(self, secret: bytes, fingerprint: bytes) -> None:
        token = Token(secret, fingerprint)
        text = token.toText()
        self.assertEqual(Token.fromText(text), token)
        self.assertTrue(text.isalnum())
        self.assertEqual(len(text), 97)

    def test_as_people_carry_it(self) -> None:
        token = Token(b"s" * 20, b"f" * 32)
        text = token.toText()
        for carried in (f"  {text}\n", text.upper(), text[:40] + "\n" + text[40:]):
            self.assertEqual(Token.fromText(carried), token)

    @given(SECRETS, FINGERPRINTS, st.integers(0, 96), st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789-_ é"))
    def test_one_wrong_character_is_noticed(self, secret: bytes, fingerprint: bytes, at: int, wrong: str) -> None:
        text = Token(secret, fingerprint).toText()
        mistyped = text[:at] + wrong + text[at + 1 :]
        if mistyped == text:
            return
        try:
            found = Token.fromText(mistyped)
        except BadToken:
            return
        # The last character has bits that mean nothing.
        self.assertEqual((found.secret, found.fingerprint), (secret, fingerprint))

    def test_one_that_was_cut_is_noticed(self) -> None:
        text = Token(b"s" * 20, b"f" * 32).toText()
        for size in range(len(text)):
            self.assertRaises(BadToken, Token.fromText, text[:size])
        self.assertRaises(BadToken, Token.fromText, text + "a" * 8)

    def test_each_is_another(self) -> None:
        self.assertEqual(len({Token.make(b"f" * 32).toText() for _ in range(100)}), 100)

    def test_the_secret_is_not_shown_nor_kept(self) -> None:
        token = Token.make(b"f" * 32)
        self.assertNotIn(repr(token.secret), repr(token))
        self.assertNotIn(token.secret.hex(), token.hashed)
        self.assertEqual(token.hashed, Token.fromText(token.toText()).hashed)
