"""
A device that is made as the documentation says needs no right to be used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from ipaddress import ip_interface
from pathlib import Path
from typing import Any
from unittest import SkipTest

import yaml
from twisted.trial.unittest import SynchronousTestCase

from hermes.net.kernelroutes import DesiredDevice, difference
from hermes.net.netlinkcalls import readState
from hermes.net.tunkernel import TunKernel
from hermes.net.tunopen import TunOptions, openTun
from hermes.test.docs.pages import DOCS, EXAMPLES, MISSING, Block, blocks
from hermes.test.namespaces import Namespace, needTun
from hermes.test.rights import withoutRights


class TunRightsTests(SynchronousTestCase):
    skip = MISSING

    def block(self, info: str) -> Block:
        """
        The one block of its kind.
        """
        (found,) = [block for block in blocks(DOCS / "howto" / "tun-rights.md") if block.info == info]
        return found

    def test_aDeviceThatIsMadeBeforehandNeedsNoRight(self) -> None:
        needTun()
        listener: dict[str, Any] = yaml.safe_load(self.block("yaml").body)["listeners"]["vpn"]
        desired = DesiredDevice(tuple(map(ip_interface, listener["address"])), mtu=listener["mtu"])
        with Namespace() as namespace:
            for line in self.block("console").body.splitlines():
                # The user is whoever runs this.
                namespace.run(*line.removeprefix("# ").replace("user hermes", f"user {os.geteuid()}").split())

            def use() -> list[Any]:
                opened = openTun(TunKernel(), TunOptions(name=listener["device"]))
                try:
                    return list(difference(listener["device"], readState(listener["device"]), desired))
                finally:
                    opened.close()

            with namespace.entered():
                self.assertEqual(withoutRights(use), [])

    def test_theDropInIsOne(self) -> None:
        if shutil.which("systemd-analyze") is None:
            raise SkipTest("this machine has no systemd-analyze")
        directory = Path(self.mktemp()).absolute()
        dropIns = directory / "hermes-proxy@laptop.service.d"
        dropIns.mkdir(parents=True)
        shutil.copy(EXAMPLES / "systemd" / "tun.conf", dropIns)
        unit = (EXAMPLES / "systemd" / "hermes-proxy@.service").read_text()
        # There is no such program here, and it is not what is looked at.
        (directory / "hermes-proxy@.service").write_text(unit.replace("/opt/hermes/bin/", "/bin/"))
        checked = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "hermes-proxy@laptop.service"],
            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{directory}:"},
            capture_output=True,
            text=True,
        )
        ours = [line for line in checked.stderr.splitlines() if "tun.conf" in line]
        self.assertEqual(ours, [])
