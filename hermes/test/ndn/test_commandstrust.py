"""
Tests for L{hermes.commands.ndn}: keys, certificates, trust anchors.
"""

from __future__ import annotations

import os

from hermes.commands.ndn.common import FAILED, OK
from hermes.ndn.packet.name import Name
from hermes.test.ndn.app.fetches import content
from hermes.test.ndn.publishing import Published


class TrustTests(Published):
    """
    Keys, certificates and anchors.
    """

    def test_keysAreMadeListedAndDeleted(self) -> None:
        self.assertEqual(self.key("list"), "")
        printed = self.key("gen", "/org/alice", "-t", "ed25519", "--days", "10")
        self.assertEqual(self.key("dump"), printed)
        self.assertEqual(self.key("dump", "/org/alice"), printed)
        listed = self.key("list")
        self.assertRegex(listed, r"^/org/alice/KEY/\S+/self/v=\d+  self-signed, until \d{8}T\d{6}\n$")
        self.key("delete", listed.partition("/self/")[0])
        self.assertEqual(self.key("list"), "")
        for arguments in (("dump",), ("delete", "/org/alice/KEY/1"), ("sign", self.file(printed.encode()))):
            options = self.options("key", *arguments)
            self.assertEqual(options.tool(options, self.console), FAILED)

    def org(self) -> tuple[str, str]:
        """
        An organisation that has issued a certificate for Alice, whose key signs from now on.

        @return: the files of its certificate, and of a stranger's.
        """
        root = self.file(self.key("gen", "/a").encode())
        self.key("gen", "/a/file")
        alice = self.file(self.key("dump", "/a/file").encode())
        issued = self.key("sign", alice, "-s", "/a", "--issuer", "org", "--days", "5")
        self.key("install", self.file(issued.encode()))
        self.assertIn("issued by /a/KEY/", self.key("list"))
        stranger = self.key("gen", "/elsewhere")
        return root, self.file(stranger.encode())

    def test_signedByWhomTheAnchorHasCertified(self) -> None:
        root, _ = self.org()
        self.put("-S", "id:/a/file")
        self.assertEqual(self.get("--anchor", root), OK)
        self.assertIn("received and verified.", self.output.getvalue())
        self.assertEqual(self.got(), content(50_000))

    def test_signedBySomebodyElse(self) -> None:
        _, stranger = self.org()
        self.put("-S", "id:/a/file")
        self.assertEqual(self.get("--anchor", stranger), FAILED)
        self.assertRegex(self.output.getvalue(), r"hermes ndn get: the certificate /a/KEY/\S+ can't be got: ")
        self.assertFalse(os.path.exists(self.target))

    def test_aKeyThatMayNotUnlessARuleSaysSo(self) -> None:
        _, stranger = self.org()
        self.put("-S", "id:/elsewhere")
        self.assertEqual(self.get("--anchor", stranger), FAILED)
        self.assertIn("may not sign /a/file", self.output.getvalue())
        self.assertEqual(self.get("--anchor", stranger, "--rule", "/a=/elsewhere"), OK)
        self.assertEqual(self.got(), content(50_000))

    def test_aDigestIsNotSomebody(self) -> None:
        root, _ = self.org()
        self.put("-S", "digest")
        self.assertEqual(self.get("--anchor", root), FAILED)
        self.assertIn("does not say which key has signed it", self.output.getvalue())
        self.assertEqual(self.get(), OK)

    def test_theNewestKeySignsWhereNothingIsSaid(self) -> None:
        self.put()
        client = self.network.client()
        data = self.network.result(client.express(Name.fromText("/a/file"), canBePrefix=True))
        self.assertEqual(data.signatureInfo.signatureType, 0)
        self.network.routes.clear()
        root = self.file(self.key("gen", "/a").encode())
        self.put()
        self.assertEqual(self.get("--anchor", root), OK)

    def test_onlyWhoHasTheKeyGetsACertificate(self) -> None:
        self.org()
        issued = self.file(self.key("dump", "/a/file").encode())
        options = self.options("key", "sign", issued)
        self.assertEqual(options.tool(options, self.console), FAILED)
        self.assertIn("not signed by its own key", self.output.getvalue())

    def test_whoSignsCanBeWrittenInManyWays(self) -> None:
        from hermes.commands.ndn.common import signer

        self.key("gen", "/a")
        certificate = self.key("list").split()[0]
        keyName = certificate.partition("/self/")[0]
        for who, kind in (
            ("id:/a", 3),
            (f"key:{keyName}", 3),
            (f"cert:{certificate}", 3),
            ("digest", 0),
            ("id:/localhost/identity/digest-sha256", 0),
            ("hmac-sha256:c2VjcmV0", 4),
        ):
            found, _ = signer(self.options("poke", "/a", "-S", who))
            self.assertEqual(found.signatureInfo().signatureType, kind)
        for who in ("", "id:", "id:/b", "key:/a/KEY", "hmac-sha256:", "hmac-sha256:!", "me"):
            with self.assertRaises(ValueError):
                signer(self.options("poke", "/a", "-S", who))
