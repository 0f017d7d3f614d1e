"""
Whether a strategy can be chosen, asked before there is a forwarder.
"""

from __future__ import annotations

from twisted.internet.task import Clock

from hermes.ndn.forwarder.actions import Actions
from hermes.ndn.forwarder.strategychoice import installedStrategies, makeStrategy, strategyNamed


def checkStrategy(text: str) -> None:
    """
    Make a strategy as the configuration says it (L{strategyNamed}), for a forwarder that never runs.

    @raise LookupError: with a sentence, where there is none such.
    @raise ValueError: with a sentence, where its name is none, or its parameters are wrong.
    """
    types = installedStrategies()
    makeStrategy(strategyNamed(text, types), types, Actions(Clock()))
