"""
The states of a transaction, as a machine. In each, L{hermes.control.transaction.core} does something, and tells how it
ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from automat import TypeMachineBuilder

from hermes.control.transaction.core import Core
from hermes.control.transaction.inputs import Inputs, Working
from hermes.control.transaction.writing import Record
from hermes.control.values import NodeReason

builder = TypeMachineBuilder(Inputs, Core)


def _recording(machine: Inputs, core: Core) -> Working:
    return Working(core.work(machine, core.append(machine)))


def _preparing(machine: Inputs, core: Core, number: int) -> Working:
    core.record = Record(core.store, number, core.clock)
    return Working(core.work(machine, core.prepare(machine)))


def _marking(machine: Inputs, core: Core) -> Working:
    return Working(core.work(machine, core.mark(machine)))


def _swapping(machine: Inputs, core: Core) -> Working:
    return Working(core.work(machine, core.swap(machine)))


def _watching(machine: Inputs, core: Core) -> Working:
    return Working(core.work(machine, core.watch(machine)))


def _deciding(machine: Inputs, core: Core) -> Working:
    return Working(core.work(machine, core.decide(machine)))


def _confirming(machine: Inputs, core: Core) -> Working:
    core.result = "committed"
    core.commit()
    return Working(core.work(machine, core.confirm(machine)))


def _aborting(machine: Inputs, core: Core, reasons: Sequence[NodeReason]) -> Working:
    core.result = "aborted"
    core.reasons += reasons
    return Working(core.work(machine, core.abort(machine)))


def _returning(machine: Inputs, core: Core) -> Working:
    core.result = "aborted"
    return Working(core.work(machine, core.goBack(machine)))


new = builder.state("new")
recording = builder.state("recording", _recording)
preparing = builder.state("preparing", _preparing)
marking = builder.state("marking", _marking)
swapping = builder.state("swapping", _swapping)
watching = builder.state("watching", _watching)
deciding = builder.state("deciding", _deciding)
confirming = builder.state("confirming", _confirming)
aborting = builder.state("aborting", _aborting)
returning = builder.state("returning", _returning)
done = builder.state("done")

# All goes well

new.upon(Inputs.begin).to(recording).returns(None)
recording.upon(Inputs.recorded, nodata=True).to(preparing).returns(None)
preparing.upon(Inputs.allReady, nodata=True).to(marking).returns(None)
marking.upon(Inputs.marked, nodata=True).to(swapping).returns(None)
swapping.upon(Inputs.allSwapped, nodata=True).to(watching).returns(None)
watching.upon(Inputs.passed, nodata=True).to(deciding).returns(None)
deciding.upon(Inputs.decided, nodata=True).to(confirming).returns(None)

# It does not


@recording.upon(Inputs.notRecorded).to(done)
def refused(machine: Inputs, core: Core, data: Working, reasons: Sequence[NodeReason]) -> None:
    """
    There is no such version.
    """
    core.reasons += reasons
    core.finish()


@recording.upon(Inputs.failed).to(done)
def notEvenRecorded(machine: Inputs, core: Core, data: Working, reasons: Sequence[NodeReason]) -> None:
    """
    Whether the store has it is not known.
    """
    core.suspect = True
    core.reasons += reasons
    core.finish()


@recording.upon(Inputs.cancel, nodata=True).loop()
def cancelEarly(machine: Inputs, core: Core, reasons: Sequence[NodeReason]) -> None:
    """
    As soon as it is known what the store has.
    """
    core.unwanted += reasons


preparing.upon(Inputs.failed, nodata=True).to(aborting).returns(None)
marking.upon(Inputs.failed, nodata=True).to(aborting).returns(None)
swapping.upon(Inputs.failed, nodata=True).to(aborting).returns(None)
watching.upon(Inputs.failed, nodata=True).to(aborting).returns(None)
deciding.upon(Inputs.failed, nodata=True).to(aborting).returns(None)


@preparing.upon(Inputs.cancel).to(aborting)
@marking.upon(Inputs.cancel).to(aborting)
@swapping.upon(Inputs.cancel).to(aborting)
@watching.upon(Inputs.cancel).to(aborting)
@deciding.upon(Inputs.cancel).to(aborting)
def giveUp(machine: Inputs, core: Core, data: Working, reasons: Sequence[NodeReason]) -> None:
    """
    What was under way does not count any more; if it was the decision, the store has the last word.
    """
    data.work.cancel()


# Somebody else has aborted it; or this controller has decided it before and has not heard so.
marking.upon(Inputs.wasAborted, nodata=True).to(returning).returns(None)
deciding.upon(Inputs.wasAborted, nodata=True).to(returning).returns(None)
aborting.upon(Inputs.wasAborted, nodata=True).to(returning).returns(None)
aborting.upon(Inputs.decided, nodata=True).to(confirming).returns(None)

# It is decided, or will be: nothing stops it any more

aborting.upon(Inputs.cancel, nodata=True).loop().returns(None)
confirming.upon(Inputs.cancel, nodata=True).loop().returns(None)
returning.upon(Inputs.cancel, nodata=True).loop().returns(None)


@aborting.upon(Inputs.failed).to(done)
def notEvenAborted(machine: Inputs, core: Core, data: Working, reasons: Sequence[NodeReason]) -> None:
    """
    A mistake of ours. Nodes go back by themselves; the record is looked at before the next change.
    """
    core.result = "unknown"
    core.suspect = True
    core.notes += reasons
    core.finish()


@confirming.upon(Inputs.failed).to(done)
@returning.upon(Inputs.failed).to(done)
def notEvenTold(machine: Inputs, core: Core, data: Working, reasons: Sequence[NodeReason]) -> None:
    """
    A mistake of ours. The nodes are told later.
    """
    core.notes += reasons
    core.finish()


@confirming.upon(Inputs.finished).to(done)
@returning.upon(Inputs.finished).to(done)
def told(machine: Inputs, core: Core, data: Working) -> None:
    """
    Every node was told.
    """
    core.finish()


@recording.upon(Inputs.abandon).to(done)
@preparing.upon(Inputs.abandon).to(done)
@marking.upon(Inputs.abandon).to(done)
@swapping.upon(Inputs.abandon).to(done)
@watching.upon(Inputs.abandon).to(done)
@deciding.upon(Inputs.abandon).to(done)
@aborting.upon(Inputs.abandon).to(done)
def leave(machine: Inputs, core: Core, data: Working) -> None:
    """
    Another controller decides, or the nodes do, each by itself.
    """
    data.work.cancel()
    core.result = "unknown"
    core.finish()


@confirming.upon(Inputs.abandon).to(done)
@returning.upon(Inputs.abandon).to(done)
def leaveDecided(machine: Inputs, core: Core, data: Working) -> None:
    """
    It is decided; the next controller tells the nodes.
    """
    data.work.cancel()
    core.finish()


new.upon(Inputs.abandon).loop().returns(None)
new.upon(Inputs.cancel).loop().returns(None)
done.upon(Inputs.abandon).loop().returns(None)
done.upon(Inputs.cancel).loop().returns(None)

TransactionMachine = builder.build()
"""
Makes the machine of one transaction, of its L{Core}.
"""
