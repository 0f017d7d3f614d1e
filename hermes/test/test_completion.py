"""
Tests for C{hermes completion}: in the shells themselves.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from subprocess import run
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.cli import makeParser
from hermes.control.operator.completing import NODES, SCRIPTS, VERSIONS, complete
from hermes.test.control.operator.running import ControllerCase


def names(kind: str, before: Sequence[str]) -> list[str]:
    """
    What a controller would say.
    """
    return {NODES: ["edge", "gateway"], VERSIONS: ["1", "12"]}[kind]


class CompleteTests(SynchronousTestCase):
    """
    L{complete}.
    """

    def complete(self, line: str) -> list[str]:
        """
        Of a line after C{hermes}.
        """
        return complete(makeParser(), line.split(" "), names)

    def test_commandsOptionsAndNames(self) -> None:
        for line, expected in (
            ("dr", ["drain"]),
            ("drain ", ["edge", "gateway"]),
            ("drain e", ["edge"]),
            ("drain edge --ti", ["--timeout"]),
            ("drain --timeout ", []),
            ("drain --timeout 5 g", ["gateway"]),
            ("drain --timeout=5 g", ["gateway"]),
            ("drain edge ", []),
            ("rollback --yes 1", ["1", "12"]),
            ("history -- 12", ["12"]),
            ("node re", ["revoke"]),
            ("node revoke ", ["edge", "gateway"]),
            ("explain x --at e", ["edge"]),
            ("completion f", ["fish"]),
            ("apply ", []),
            ("nonsense ", []),
            ("ndn pee", ["peek"]),
        ):
            self.assertEqual((line, self.complete(line)), (line, expected))

    def test_allCommandsAreThere(self) -> None:
        found = self.complete("")
        for name in ("status", "nodes", "diff", "apply", "rollback", "history", "explain", "enrol", "drain", "top"):
            self.assertIn(name, found)


class ShellTests(ControllerCase):
    """
    The scripts, and names from a controller.
    """

    def setUp(self) -> Any:
        starting = super().setUp()
        self.address = os.path.abspath(self.onSocket().removeprefix("unix:"))
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        path = os.pathsep.join(filter(None, sys.path))
        hermes = self.directory / "hermes"
        hermes.write_text(f'#!/bin/sh\nPYTHONPATH="{path}" exec "{sys.executable}" -m hermes.cli "$@"\n')
        hermes.chmod(0o755)
        return starting

    def shell(self, shell: str, script: str) -> Deferred[list[str]]:
        """
        Run a script in a shell that has read what C{hermes completion} prints.
        """
        if which(shell) is None:
            raise self.skipTest(f"this machine has no {shell}")
        file = self.directory / f"completion.{shell}"
        file.write_text(SCRIPTS[shell])
        environment = {
            **os.environ,
            "PATH": f"{self.directory.absolute()}{os.pathsep}{os.environ['PATH']}",
            "HERMES_CONTROLLER": f"unix:{self.address}",
            "HOME": str(self.directory.absolute()),
        }

        def ran() -> list[str]:
            arguments = [shell, *(["--no-config"] if shell == "fish" else []), "-c", script.replace("FILE", str(file))]
            done = run(arguments, capture_output=True, text=True, timeout=60, env=environment)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            return done.stdout.split()

        return self.inThread(ran)

    async def test_bash(self) -> None:
        script = (
            "source FILE; complete -p hermes >/dev/null; "
            "COMP_WORDS=(hermes drain ''); COMP_CWORD=2; _hermes; echo ${COMPREPLY[@]}; "
            "COMP_WORDS=(hermes roll); COMP_CWORD=1; _hermes; echo ${COMPREPLY[@]}"
        )
        self.assertEqual(await self.shell("bash", script), ["edge", "gateway", "relay", "rollback"])

    async def test_zsh(self) -> None:
        # What compadd would be given, outside of the line editor.
        script = (
            "compdef() { :; }; compadd() { shift; print -l -- $@ }; source FILE; "
            "words=(hermes drain ''); CURRENT=3; _hermes; words=(hermes roll); CURRENT=2; _hermes"
        )
        self.assertEqual(await self.shell("zsh", script), ["edge", "gateway", "relay", "rollback"])

    async def test_fish(self) -> None:
        script = "source FILE; complete -C 'hermes drain '; complete -C 'hermes roll'"
        found = await self.shell("fish", script)
        self.assertEqual([each for each in found if not each.startswith(("completion", "hermes"))][-1:], ["rollback"])
        self.assertTrue({"edge", "gateway", "relay"} <= set(found), found)

    async def test_withoutAControllerThereAreNoNames(self) -> None:
        self.address = "/no/such/socket"
        script = "source FILE; COMP_WORDS=(hermes drain ''); COMP_CWORD=2; _hermes; echo ${COMPREPLY[@]}"
        self.assertEqual(await self.shell("bash", script), [])
