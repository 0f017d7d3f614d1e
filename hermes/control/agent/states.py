"""
The states of an agent, and what it begins to do when it comes to each.

Of one configuration at a time: I{resting}, I{preparing} one, I{prepared}, I{swapping} to it, on I{trial}, and from
there I{keeping} it or I{returning} to the last good one.
"""

from __future__ import annotations

from automat import TypeMachineBuilder

from hermes.control.agent.core import Core, Order, Reply
from hermes.control.agent.inputs import Inputs, Keeping, Prepared, Preparing, Returning, Swapping, Trial
from hermes.control.agent.roles import IPreparedConfiguration

builder = TypeMachineBuilder(Inputs, Core)


def _preparing(machine: Inputs, core: Core, order: Order, answer: Reply) -> Preparing:
    core.unsettle()
    return Preparing(order, [answer], core.work(core.build(machine, order)))


def _prepared(machine: Inputs, core: Core, order: Order, prepared: IPreparedConfiguration) -> Prepared:
    core.prepared = order.version
    core.tell()
    return Prepared(order, prepared, core.clock.callLater(order.decide, machine.forget, []))


def _swapping(machine: Inputs, core: Core, order: Order, prepared: IPreparedConfiguration, answer: Reply) -> Swapping:
    return Swapping(order, [answer], [], core.work(core.swap(machine, order, prepared)))


def _trial(machine: Inputs, core: Core, order: Order) -> Trial:
    core.tell()
    return Trial(order, core.clock.callLater(order.decide, machine.undecided))


def _keeping(machine: Inputs, core: Core, answers: list[Reply]) -> Keeping:
    core.unsettle()
    core.confirmed = core.running
    core.unsaved = True
    return Keeping(answers, core.work(core.keep(machine)))


def _returning(machine: Inputs, core: Core, answers: list[Reply]) -> Returning:
    core.unsettle()
    return Returning(answers, core.work(core.goBack(machine)))


resting = builder.state("resting")
preparing = builder.state("preparing", _preparing)
prepared = builder.state("prepared", _prepared)
swapping = builder.state("swapping", _swapping)
trial = builder.state("trial", _trial)
keeping = builder.state("keeping", _keeping)
returning = builder.state("returning", _returning)
ended = builder.state("ended")
