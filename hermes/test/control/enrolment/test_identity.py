"""
Who a node is, on its disk: whole, whenever the process is killed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.control.agent.files import Files
from hermes.control.enrolment.authority import Authority
from hermes.control.enrolment.errors import IdentityBroken
from hermes.control.enrolment.identity import IdentityFiles, NodeIdentity
from hermes.control.enrolment.requests import makeKey
from hermes.net.certificates import ClientCredentials, ServerCredentials


class Killed(BaseException):
    """
    The process ends.
    """


class DyingFiles(Files):
    """
    The process is killed before, or in the middle of, the so many-th change.
    """

    left = 1000
    torn = False

    def step(self, name: str, data: bytes | None = None) -> None:
        self.left -= 1
        if self.left < 0:
            if self.torn and data is not None:
                with open(self.path(name + ".new"), "wb") as file:
                    file.write(data[: len(data) // 2])
            raise Killed()

    def write(self, name: str, data: bytes) -> None:
        self.step(name, data)
        super().write(name, data)

    def rename(self, name: str, to: str) -> None:
        self.step(name)
        super().rename(name, to)

    def remove(self, name: str) -> None:
        self.step(name)
        super().remove(name)


class IdentityCase(SynchronousTestCase):
    """
    A directory, and an authority.
    """

    def setUp(self) -> None:
        self.authority = Authority.make()
        self.files = DyingFiles(self.mktemp())
        self.identity = IdentityFiles(self.files)

    def install(self, name: str = "edge", days: float = 90.0, identity: IdentityFiles | None = None) -> NodeIdentity:
        """
        As when a node joins, or renews.
        """
        identity = identity or self.identity
        key = identity.newKey()
        issued = self.authority.node(name, key.public_key(), days)
        return identity.install(key, issued.text, self.authority.trust, name)


class Kept(IdentityCase):
    """
    What there is.
    """

    def test_nothing_at_first(self) -> None:
        self.assertIsNone(self.identity.load())

    def test_what_was_installed(self) -> None:
        self.assertEqual(self.install(), self.identity.load())
        found = self.identity.load()
        assert found is not None
        self.assertEqual(found.node, "edge")

    def test_it_can_be_used_as_it_is(self) -> None:
        self.install()
        certificate, key, trust = self.identity.paths
        ServerCredentials(certificate, key, trust)
        ClientCredentials(certificate, key, trust, expectedNode="relay")

    def test_the_key_is_readable_to_its_owner_alone(self) -> None:
        self.install()
        self.assertEqual(stat.S_IMODE(os.stat(self.identity.paths[1]).st_mode), 0o600)

    def test_a_renewed_one_has_another_key(self) -> None:
        self.install()
        before = self.files.read("node.key")
        self.install()
        self.assertNotEqual(self.files.read("node.key"), before)
        self.assertEqual(self.files.names(), ["node.key", "node.pem", "trust.pem"])

    def test_it_is_renewed_when_two_thirds_of_its_life_have_passed(self) -> None:
        found = self.install(days=90.0)
        begin = found.certificate.not_valid_before_utc
        self.assertLess(abs(found.renewAt - (begin + timedelta(days=60)).timestamp()), 3600)
        self.assertGreater(found.expires, (datetime.now(UTC) + timedelta(days=89)).timestamp())


class Refused(IdentityCase):
    """
    A certificate that is not what was asked for.
    """

    def refused(self, text: str, name: str | None = "edge", trust: str | None = None) -> None:
        self.install()
        before = self.files.read("node.pem")
        key = self.identity.newKey()
        self.assertRaises(IdentityBroken, self.identity.install, key, text, trust or self.authority.trust, name)
        self.assertEqual(self.files.read("node.pem"), before)
        self.assertIsNotNone(self.identity.load())

    def test_for_another_key(self) -> None:
        self.refused(self.authority.node("edge", makeKey().public_key(), 1.0).text)

    def test_what_is_none(self) -> None:
        self.refused("no certificate")

    def signed(self, name: str, **changes: Any) -> tuple[Any, str]:
        key = self.identity.newKey()
        authority: Authority = changes.pop("authority", self.authority)
        return key, authority.node(name, key.public_key(), **{"days": 1.0, **changes}).text

    def test_for_another_node(self) -> None:
        key, text = self.signed("relay")
        self.assertRaises(IdentityBroken, self.identity.install, key, text, self.authority.trust, "edge")

    def test_of_another_authority(self) -> None:
        key, text = self.signed("edge", authority=Authority.make())
        self.assertRaises(IdentityBroken, self.identity.install, key, text, self.authority.trust, "edge")
        self.assertRaises(IdentityBroken, self.identity.install, key, text, "", "edge")

    def test_one_that_has_expired(self) -> None:
        key, text = self.signed("edge", now=datetime.now(UTC) - timedelta(days=2))
        self.assertRaises(IdentityBroken, self.identity.install, key, text, self.authority.trust, "edge")


class Broken(IdentityCase):
    """
    What can't be used is told, with the name of the file.
    """

    def test_files_that_do_not_belong_together_or_hold_something_else(self) -> None:
        self.install()
        good = {name: self.files.read(name) for name in ("node.pem", "node.key")}
        other = Authority.make()
        for name, data in (
            ("node.pem", b""),
            ("node.pem", b"noise"),
            ("node.pem", other.node("edge", makeKey().public_key(), 1.0).text.encode()),
            ("node.pem", other.controller(makeKey().public_key(), [], 1.0).text.encode()),
            ("node.key", b""),
            ("node.key", good["node.pem"]),
        ):
            for each in good:
                self.files.write(each, good[each])
            self.files.write(name, data)
            error = self.assertRaises(IdentityBroken, self.identity.load)
            self.assertIn("node.", str(error))

    def test_without_one_of_them_it_has_not_joined(self) -> None:
        for name in ("node.pem", "node.key", "trust.pem"):
            self.install()
            self.files.remove(name)
            self.assertIsNone(self.identity.load())


class DyingProcess(IdentityCase):
    """
    Killed at each step of a renewal, the node has the old identity or the new one, and can renew it.
    """

    def test_the_old_or_the_new(self) -> None:
        for torn in (False, True):
            for steps in range(12):
                self.setUp()
                before = self.install()
                self.files.left, self.files.torn = steps, torn
                try:
                    self.install()
                    finished = True
                except Killed:
                    finished = False
                again = IdentityFiles(Files(self.files.directory))
                found = again.load()
                assert found is not None
                self.assertEqual(found.node, "edge")
                if finished:
                    self.assertNotEqual(found, before)
                self.install(identity=again)
                names = Files(self.files.directory).names()
                self.assertEqual(
                    [name for name in names if not name.endswith(".new")], ["node.key", "node.pem", "trust.pem"]
                )
            self.assertTrue(finished)

    def test_and_again_while_it_recovers(self) -> None:
        for steps in range(8):
            for recovering in range(4):
                self.setUp()
                self.install()
                self.files.left = steps
                with contextlib.suppress(Killed):
                    self.install()
                self.files.left = recovering
                with contextlib.suppress(Killed):
                    self.identity.load()
                self.assertIsNotNone(IdentityFiles(Files(self.files.directory)).load())
