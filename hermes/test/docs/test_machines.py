"""
The drawings of state machines show the machines that run, and the page about them the points where they can be stopped.
"""

from __future__ import annotations

import re
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.control.agent.disk import KEPT
from hermes.control.agent.machine import AgentMachine
from hermes.control.reconciling import AT_ONCE, SWEEP
from hermes.control.stops import CONTROLLER_POINTS
from hermes.control.transaction.machine import TransactionMachine
from hermes.test.docs.pages import DOCS, MISSING

AGAIN = "run python docs/machines.py"


def drawing() -> Any:
    """
    The script that draws them.
    """
    specification = spec_from_file_location("hermes_docs_machines", DOCS / "machines.py")
    assert specification is not None and specification.loader is not None
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class DrawingTests(SynchronousTestCase):
    """
    Drawings and machines beside each other.
    """

    skip = MISSING

    def test_theDrawingsAreThoseOfTheCode(self) -> None:
        machines = drawing()
        self.assertEqual(machines.MACHINES, {"agent": AgentMachine, "transaction": TransactionMachine})
        for name in machines.MACHINES:
            text = machines.dot(name)
            self.assertEqual(text, (DOCS / "drawings" / f"{name}.dot").read_text(), AGAIN)
            self.assertIn(machines.digest(text), (DOCS / "drawings" / f"{name}.svg").read_text(), AGAIN)

    def test_everyStateIsInThePicture(self) -> None:
        machines = drawing()
        for name, machine in machines.MACHINES.items():
            picture = (DOCS / "drawings" / f"{name}.svg").read_text()
            states = {state.name for state in machine.__automat_automaton__.states()} - {"ended"}
            self.assertEqual({state for state in states if f">{state}</text>" in picture}, states)

    def test_graphvizDrawsThem(self) -> None:
        if shutil.which("dot") is None:
            self.skipTest("Graphviz is not installed")
        machines = drawing()
        for name in machines.MACHINES:
            self.assertIn(machines.digest(machines.dot(name)), machines.svg(machines.dot(name)))


class PageTests(SynchronousTestCase):
    """
    The page on the control plane says what the code does.
    """

    skip = MISSING

    def setUp(self) -> None:
        self.text = (DOCS / "architecture-control.md").read_text()

    def test_everyStateIsDescribed(self) -> None:
        for machine in TransactionMachine, AgentMachine:
            for state in machine.__automat_automaton__.states():
                if state.name not in ("new", "done", "ended"):
                    self.assertRegex(self.text, rf"(?m)^\| {state.name} \|")

    def test_everyPointIsNamed(self) -> None:
        named = set(re.findall(r"`(apply\.\w+)`", self.text))
        points = {point for point in CONTROLLER_POINTS if point.startswith("apply.")}
        self.assertEqual(named, points - {"apply.validate"})

    def test_theNumbersAreThoseOfTheCode(self) -> None:
        self.assertIn(f"every {SWEEP:g} seconds", self.text)
        self.assertIn(f"At most {AT_ONCE} nodes", self.text)
        self.assertIn({5: "five are kept"}[KEPT], self.text)
