"""
Keys and certificates of C{hermes ndn key} and of python-ndn's C{pyndnsec}, each certified by the other.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from unittest import SkipTest

from hermes.ndn.security.certificate import Certificate
from hermes.test.interop.processes import ProcessCase


class PyndnsecTests(ProcessCase):
    """
    Certificates as files.
    """

    timeout = 60

    def setUp(self) -> None:
        if importlib.util.find_spec("ndn") is None:
            raise SkipTest("python-ndn is not installed")
        super().setUp()

    async def hermes(self, *arguments: str) -> str:
        """
        Run C{hermes ndn key}.
        """
        return await self.output(
            sys.executable, "-m", "hermes.cli", "ndn", "key", *arguments, "--keychain", str(self.directory / "keys")
        )

    async def pyndnsec(self, *arguments: str) -> str:
        """
        Run theirs.
        """
        program = "import sys; from ndn.bin.sec import main; sys.exit(main())"
        return await self.output("env", f"HOME={self.directory}", sys.executable, "-c", program, *arguments)

    def file(self, name: str, text: str) -> str:
        """
        A file with this in it.
        """
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    async def test_weCertifyTheirs(self) -> None:
        await self.pyndnsec("init")
        await self.pyndnsec("key-gen", "/theirs")
        request = self.file("request", await self.pyndnsec("sign-req", "/theirs"))
        root = Certificate.fromText(await self.hermes("gen", "/"))
        issued = await self.hermes("sign", request, "--issuer", "us")
        certificate = Certificate.fromText(issued)
        self.assertTrue(root.verifies(certificate.data))
        self.assertEqual(certificate.data.signatureInfo.keyLocator, root.name)
        await self.pyndnsec("import", self.file("issued", issued))
        self.assertIn(str(certificate.name), await self.pyndnsec("list", "-c"))

    async def test_theyCertifyOurs(self) -> None:
        await self.pyndnsec("init")
        await self.pyndnsec("key-gen", "/theirs")
        theirs = Certificate.fromText(await self.pyndnsec("export", "/theirs"))
        for kind in ("ecdsa", "rsa", "ed25519"):
            request = self.file("request", await self.hermes("gen", f"/theirs/{kind}", "-t", kind))
            issued = await self.pyndnsec("cert-gen", "/theirs", request)
            self.assertTrue(theirs.verifies(Certificate.fromText(issued).data))
            await self.hermes("install", self.file("issued", issued))
            self.assertIn(f"issued by {theirs.name}", await self.hermes("list"))
