"""
The machine of an agent: the states (L{hermes.control.agent.states}), the controller's calls
(L{hermes.control.agent.calls}), and here how the agent's own work ends, and how all does.
"""

from __future__ import annotations

from collections.abc import Sequence

from hermes.control.agent import calls
from hermes.control.agent.core import Core, Order, Reply
from hermes.control.agent.inputs import Inputs, Keeping, Prepared, Preparing, Returning, Swapping, Trial
from hermes.control.agent.roles import IPreparedConfiguration
from hermes.control.agent.states import (
    builder,
    ended,
    keeping,
    prepared,
    preparing,
    resting,
    returning,
    swapping,
    trial,
)
from hermes.control.values import Answer

ENDED = Answer.refused("the node is shutting down")

# How its work ends


@preparing.upon(Inputs.built).to(prepared)
def isBuilt(machine: Inputs, core: Core, data: Preparing, order: Order, prepared: IPreparedConfiguration) -> None:
    """
    Ready.
    """
    core.reply(data.answers)


@preparing.upon(Inputs.notBuilt).to(resting)
def isNotBuilt(machine: Inputs, core: Core, data: Preparing, reasons: Sequence[str]) -> None:
    """
    Refused, with reasons.
    """
    core.settle(machine)
    core.reply(data.answers, Answer.refused(*reasons))


@swapping.upon(Inputs.swapped).to(trial)
def isSwapped(machine: Inputs, core: Core, data: Swapping, order: Order) -> None:
    """
    It runs; and goes back at once where somebody wanted that meanwhile.
    """
    core.problem("return", None)
    if data.rollbacks:
        machine.goBack(data.rollbacks)
    core.reply(data.answers)


@swapping.upon(Inputs.notSwapped).to(resting)
def isNotSwapped(machine: Inputs, core: Core, data: Swapping, reasons: Sequence[str]) -> None:
    """
    What ran before runs on, as a rule. Going back makes sure of it, and clears the disk.
    """
    machine.goBack(data.rollbacks)
    core.reply(data.answers, Answer.refused(*reasons))


@keeping.upon(Inputs.kept).to(resting)
def isKept(machine: Inputs, core: Core, data: Keeping) -> None:
    """
    On disk too.
    """
    core.unsaved = False
    for about in "disk", "return", "start":
        core.problem(about, None)
    core.settle(machine)
    core.reply(data.answers)


@keeping.upon(Inputs.notKept).to(resting)
def isNotKept(machine: Inputs, core: Core, data: Keeping, reasons: Sequence[str]) -> None:
    """
    It runs, and that is what was asked; but a restart would begin with the one before.
    """
    core.problem("disk", reasons)
    core.settle(machine)
    core.reply(data.answers, Answer(True, tuple(reasons)))


@returning.upon(Inputs.back).to(resting)
def isBack(machine: Inputs, core: Core, data: Returning) -> None:
    """
    The last good one runs.
    """
    core.problem("return", None)
    core.settle(machine)
    core.reply(data.answers)


@returning.upon(Inputs.notBack).to(resting)
def isNotBack(machine: Inputs, core: Core, data: Returning, reasons: Sequence[str]) -> None:
    """
    It is tried again.
    """
    core.problem("return", reasons)
    core.settle(machine)
    core.reply(data.answers, Answer.refused(*reasons))


# The end


@resting.upon(Inputs.stop).to(ended)
def endAtRest(machine: Inputs, core: Core) -> None:
    """
    Nothing is under way.
    """
    core.end()


@preparing.upon(Inputs.stop).to(ended)
def endPreparing(machine: Inputs, core: Core, data: Preparing) -> None:
    """
    Nobody will take it.
    """
    data.work.cancel()
    core.end()
    core.reply(data.answers, ENDED)


@prepared.upon(Inputs.stop).to(ended)
def endPrepared(machine: Inputs, core: Core, data: Prepared) -> None:
    """
    The same.
    """
    calls.forgetPrepared(core, data)
    core.end()


@swapping.upon(Inputs.stop).to(ended)
def endSwapping(machine: Inputs, core: Core, data: Swapping) -> None:
    """
    Whoever starts the node next begins with the last good one.
    """
    core.end()
    core.reply([*data.answers, *data.rollbacks], ENDED)


@trial.upon(Inputs.stop).to(ended)
def endTrial(machine: Inputs, core: Core, data: Trial) -> None:
    """
    The same.
    """
    data.timer.cancel()
    core.end()


@keeping.upon(Inputs.stop).to(ended)
def endKeeping(machine: Inputs, core: Core, data: Keeping) -> None:
    """
    It may or may not be on disk.
    """
    core.end()
    core.reply(data.answers, ENDED)


@returning.upon(Inputs.stop).to(ended)
def endReturning(machine: Inputs, core: Core, data: Returning) -> None:
    """
    It need not run any more.
    """
    data.work.cancel()
    core.end()
    core.reply(data.answers, ENDED)


@ended.upon(Inputs.prepare).loop()
def prepareEnded(machine: Inputs, core: Core, order: Order, answer: Reply) -> None:
    """
    Too late.
    """
    answer.callback(ENDED)


@ended.upon(Inputs.commit).loop()
@ended.upon(Inputs.confirm).loop()
@ended.upon(Inputs.rollback).loop()
def callEnded(machine: Inputs, core: Core, version: int, answer: Reply) -> None:
    """
    Too late.
    """
    answer.callback(ENDED)


ended.upon(Inputs.stop).loop().returns(None)
ended.upon(Inputs.controllerLost).loop().returns(None)
ended.upon(Inputs.swapped).loop().returns(None)
ended.upon(Inputs.notSwapped).loop().returns(None)
ended.upon(Inputs.kept).loop().returns(None)
ended.upon(Inputs.notKept).loop().returns(None)

AgentMachine = builder.build()
"""
Makes the machine of one agent, of its L{Core}.
"""
