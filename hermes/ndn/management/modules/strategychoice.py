"""
Module C{strategy-choice}: which strategy decides for which prefix (NFD Management, "Strategy Choice Management").
"""

from __future__ import annotations

from hermes.ndn.forwarder.strategychoice import StrategyChoice as Choices
from hermes.ndn.management.commands import (
    BAD,
    CONFLICT,
    NOT_FOUND,
    OK,
    TOO_LONG,
    Command,
    Module,
    Origin,
    Reply,
    Rule,
)
from hermes.ndn.management.control import ControlParameters, ControlResponse
from hermes.ndn.management.rib import MAX_PREFIX
from hermes.ndn.management.statuses import StrategyChoice
from hermes.ndn.packet.name import Name


class StrategyModule:
    """
    @ivar module: for the dispatcher.
    """

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self.module = Module(
            "strategy-choice",
            {"set": Command(Rule.of("name strategy"), self._set), "unset": Command(Rule.of("name"), self._unset)},
            {"list": self._list},
        )

    def _set(self, parameters: ControlParameters, origin: Origin) -> Reply:
        name, strategy = parameters.name or Name(), parameters.strategy or Name()
        if len(name) > MAX_PREFIX:
            text = f"Prefix has too many components (limit is {MAX_PREFIX})"
            return ControlResponse.of(TOO_LONG, text, parameters)
        try:
            chosen = self._choices.set(name.value, strategy)
        except LookupError:
            return ControlResponse.of(NOT_FOUND, "Strategy not registered", parameters)
        except ValueError as error:
            return ControlResponse.of(CONFLICT, f"Error instantiating strategy: {error}", parameters)
        return ControlResponse.of(OK, "OK", ControlParameters(name=name, strategy=chosen.name))

    def _unset(self, parameters: ControlParameters, origin: Origin) -> Reply:
        name = parameters.name or Name()
        if not name:
            return ControlResponse.of(BAD, "failed in validating parameters", parameters)
        self._choices.unset(name.value)
        return ControlResponse.of(OK, "OK", parameters)

    def _list(self, origin: Origin) -> bytes:
        return b"".join(
            [
                StrategyChoice(name=Name.fromValue(chosen.prefix), strategy=chosen.name).encode()
                for chosen in sorted(self._choices, key=lambda each: each.prefix)
            ]
        )
