"""
Credentials prove users, and nothing else does.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.interfaces import IAuthenticator
from hermes.users import MAX_WRONG, WRONG_RATE, PasswordHash, ScryptCost, Users, UserSecret, hashPassword

CHEAP = ScryptCost(16, 1, 1)


def basic(user: str, password: str) -> bytes:
    return b"Basic " + b64encode(f"{user}:{password}".encode())


class UsersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.users = Users(
            {
                "alice": UserSecret(password="open sesame", token="t0ken"),
                "bob": UserSecret(password=hashPassword("höhle", CHEAP)),
                "carol": UserSecret(token="other"),
            }
        )

    def test_itIsAnAuthenticator(self) -> None:
        self.assertTrue(verifyObject(IAuthenticator, self.users))

    def test_basicProvesAUserByPlainAndByHashedPassword(self) -> None:
        self.assertEqual(self.users.authenticate(basic("alice", "open sesame")), "alice")
        self.assertEqual(self.users.authenticate(basic("bob", "höhle")), "bob")
        self.assertEqual(self.users.authenticate(b"bASIC " + basic("bob", "höhle")[6:]), "bob")

    def test_bearerProvesAUserByToken(self) -> None:
        self.assertEqual(self.users.authenticate(b"Bearer t0ken"), "alice")
        self.assertEqual(self.users.authenticate(b"bearer other"), "carol")

    def test_whatIsWrongProvesNobody(self) -> None:
        for credential in (
            None,
            b"",
            b"Basic",
            b"Basic !!!",
            b"Basic " + b64encode(b"no colon"),
            b"Basic " + b64encode(b"\xff\xfe:x"),
            basic("alice", "open sesame "),
            basic("bob", "open sesame"),
            basic("carol", ""),
            basic("nobody", "open sesame"),
            b"Bearer",
            b"Bearer ",
            b"Bearer t0ke",
            b"Digest t0ken",
            b"Bearer " + bytes(5000),
        ):
            self.assertIsNone(self.users.authenticate(credential), credential)

    def test_aStoredHashIsNoPassword(self) -> None:
        stored = hashPassword("secret", CHEAP)
        users = Users({"eve": UserSecret(password=stored)})
        self.assertFalse(users.authenticatePassword("eve", stored))
        self.assertTrue(users.authenticatePassword("eve", "secret"))

    def test_theSplitBetweenNameAndPasswordMatters(self) -> None:
        users = Users({"a": UserSecret(password="bc"), "ab": UserSecret(password="x")})
        self.assertTrue(users.authenticatePassword("a", "bc"))
        self.assertFalse(users.authenticatePassword("ab", "c"))

    def test_aLongCredentialIsRefusedUnseen(self) -> None:
        self.assertFalse(self.users.authenticatePassword("alice", "x" * 5000))

    def test_passwordsWithoutAUnicodeMeaningAreWrongNotAnError(self) -> None:
        self.assertFalse(self.users.authenticatePassword("alice", "\udc80"))

    def test_aSecondUseOfACredentialCostsNoDerivation(self) -> None:
        with patch.object(hashlib, "scrypt", wraps=hashlib.scrypt) as scrypt:
            for _ in range(3):
                self.assertTrue(self.users.authenticatePassword("bob", "höhle"))
                self.assertFalse(self.users.authenticatePassword("bob", "hole"))
            self.assertEqual(scrypt.call_count, 2)

    def test_whatIsKnownIsToldWithoutADerivation(self) -> None:
        with patch.object(hashlib, "scrypt", wraps=hashlib.scrypt) as scrypt:
            self.assertIsNone(self.users.knownPassword("bob", "höhle"))
            self.assertIsNone(self.users.knownPassword("bob", "hole"))
            self.assertIsNone(self.users.knownPassword("alice", "open sesame"))
            self.assertEqual(scrypt.call_count, 0)
            for password in ("höhle", "hole"):
                self.users.authenticatePassword("bob", password)
            self.assertIs(self.users.knownPassword("bob", "höhle"), True)
            self.assertIs(self.users.knownPassword("bob", "hole"), False)
            self.assertIs(self.users.knownPassword("bob", "x" * 5000), False)
            self.assertEqual(scrypt.call_count, 2)

    def test_plainPasswordsAreAlwaysKnown(self) -> None:
        users = Users({"alice": UserSecret(password="open sesame")})
        self.assertIs(users.knownPassword("alice", "open sesame"), True)
        self.assertIs(users.knownPassword("alice", "open"), False)
        self.assertIs(users.knownPassword("bob", "open"), False)

    def test_anUnknownUserCostsTheSameAsAWrongPassword(self) -> None:
        other = ScryptCost(32, 1, 1)
        subject = Users(
            {
                "bob": UserSecret(password=hashPassword("1", CHEAP)),
                "dan": UserSecret(password=hashPassword("2", other)),
                "alice": UserSecret(password="3"),
            }
        )
        costs = []
        for user in ("bob", "dan", "alice", "nobody"):
            with patch.object(hashlib, "scrypt", wraps=hashlib.scrypt) as scrypt:
                self.assertFalse(subject.authenticatePassword(user, "wrong"))
                costs.append(sorted(call.kwargs["n"] for call in scrypt.call_args_list))
        self.assertEqual(costs, [[16, 32]] * 4)

    def test_whatIsRememberedIsBoundedAndGuessesForgetNobody(self) -> None:
        subject = Users({"bob": UserSecret(password=hashPassword("1", CHEAP))}, remembered=2)
        self.assertTrue(subject.authenticatePassword("bob", "1"))
        with patch.object(hashlib, "scrypt", wraps=hashlib.scrypt) as scrypt:
            for guess in ("a", "b", "c", "c", "a"):
                self.assertFalse(subject.authenticatePassword("bob", guess))
            self.assertEqual(scrypt.call_count, 4)
            self.assertTrue(subject.authenticatePassword("bob", "1"))
            self.assertEqual(scrypt.call_count, 4)

    def test_aConfigurationThatCantWorkIsRefused(self) -> None:
        for name, secret, hint in (
            ("", UserSecret(password="x"), "empty"),
            ("a:b", UserSecret(password="x"), "colon"),
            ("bob", UserSecret(password="scrypt:1"), "bob"),
            ("bob", UserSecret(token=""), "token"),
            ("bob", UserSecret(token="two words"), "token"),
        ):
            self.assertIn(hint, str(self.assertRaises(ValueError, Users, {name: secret})))
        both = {"a": UserSecret(token="same"), "b": UserSecret(token="same")}
        self.assertIn("same token", str(self.assertRaises(ValueError, Users, both)))

    def test_secretsAreNotShown(self) -> None:
        self.assertNotIn("sesame", repr(UserSecret(password="sesame", token="sesame")))


class GuessTests(SynchronousTestCase):
    """
    Wrong passwords cost the time of all.
    """

    def setUp(self) -> None:
        self.now = 0.0
        self.users = Users(
            {name: UserSecret(password=hashPassword(name, CHEAP)) for name in ("bob", "eve")}, seconds=lambda: self.now
        )

    def guess(self, count: int) -> None:
        """
        So many wrong passwords, none twice.
        """
        for number in range(count):
            self.assertIsNone(self.users.authenticate(basic("bob", f"{self.now} {number}")))

    def test_thereAreOnlySoManyAtOnce(self) -> None:
        self.assertEqual(self.users.authenticate(basic("bob", "bob")), "bob")
        self.guess(MAX_WRONG)
        self.assertIsNone(self.users.authenticate(basic("eve", "eve")))
        # Who was let in before still is.
        self.assertEqual(self.users.authenticate(basic("bob", "bob")), "bob")

    def test_laterThereAreMore(self) -> None:
        self.guess(2 * MAX_WRONG)
        self.now += 1 / WRONG_RATE
        self.assertEqual(self.users.authenticate(basic("eve", "eve")), "eve")

    def test_rightOnesDoNotCount(self) -> None:
        names = [f"user{number}" for number in range(2 * MAX_WRONG)]
        self.users = Users(
            {name: UserSecret(password=hashPassword(name, CHEAP)) for name in names}, seconds=lambda: self.now
        )
        for name in names:
            self.assertEqual(self.users.authenticate(basic(name, name)), name)


class PasswordHashTests(SynchronousTestCase):
    def test_whatIsWrittenIsReadAgain(self) -> None:
        text = hashPassword("x", CHEAP)
        self.assertEqual(str(PasswordHash.fromText(text)), text)
        self.assertNotEqual(hashPassword("x", CHEAP), text)

    def test_whatCantBeAHashIsRefusedWithoutRepeatingIt(self) -> None:
        salt, digest = b64encode(b"saltsalt").decode(), b64encode(bytes(32)).decode()
        for text in (
            "",
            "scrypt",
            f"bcrypt:16:1:1:{salt}:{digest}",
            f"scrypt:16:1:1:{salt}",
            f"scrypt:x:1:1:{salt}:{digest}",
            f"scrypt:15:1:1:{salt}:{digest}",
            f"scrypt:1:1:1:{salt}:{digest}",
            f"scrypt:16:0:1:{salt}:{digest}",
            f"scrypt:16:1:-1:{salt}:{digest}",
            f"scrypt:16:1:1:%:{digest}",
            f"scrypt:16:1:1::{digest}",
            f"scrypt:16:1:1:{salt}:{salt}",
            f"scrypt:{2**40}:8:1:{salt}:{digest}",
        ):
            error = self.assertRaises(ValueError, PasswordHash.fromText, text)
            self.assertNotIn(salt, str(error))

    def test_theDefaultCostCanBeDerived(self) -> None:
        users = Users({"a": UserSecret(password=hashPassword("x"))})
        self.assertTrue(users.authenticatePassword("a", "x"))
