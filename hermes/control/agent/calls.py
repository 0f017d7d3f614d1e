"""
What becomes of the controller's calls in each state of an agent.

They come with a Deferred for the answer, so that none of the inputs returns anything and each may be called from within
another; it is then what happens next. So whatever is to happen first is asked for before somebody is answered.
"""

from __future__ import annotations

from hermes.control.agent.core import Core, Order, Reply
from hermes.control.agent.inputs import Inputs, Keeping, Prepared, Preparing, Returning, Swapping, Trial
from hermes.control.agent.roles import IPreparedConfiguration
from hermes.control.agent.states import keeping, prepared, preparing, resting, returning, swapping, trial
from hermes.control.values import READY, Answer

NOT_WANTED = Answer.refused("it is not wanted any more")

# At rest

resting.upon(Inputs.prepare).to(preparing).returns(None)
resting.upon(Inputs.goBack).to(returning).returns(None)
resting.upon(Inputs.keep).to(keeping).returns(None)
resting.upon(Inputs.controllerLost).loop().returns(None)


@resting.upon(Inputs.commit).loop()
def commitAtRest(machine: Inputs, core: Core, version: int, answer: Reply) -> None:
    """
    It may have been done, and confirmed, before.
    """
    answer.callback(READY if core.isHomeAt(version) else notPrepared(version))


@resting.upon(Inputs.confirm).loop()
def confirmAtRest(machine: Inputs, core: Core, version: int, answer: Reply) -> None:
    """
    It may have been done before; or the node could not go back, and now need not.
    """
    if core.isHomeAt(version):
        answer.callback(READY)
    elif core.running is not None and core.running.version == version:
        machine.keep([answer])
    else:
        answer.callback(notRunning(core, version))


@resting.upon(Inputs.rollback).loop()
def rollbackAtRest(machine: Inputs, core: Core, version: int, answer: Reply) -> None:
    """
    It may have been done before; or have failed before.
    """
    if not core.home and core.running is not None and core.running.version == version:
        machine.goBack([answer])
    else:
        answer.callback(READY)


@resting.upon(Inputs.again).loop()
def tryAgain(machine: Inputs, core: Core) -> None:
    """
    Where the node does not run what it should, that comes first.
    """
    if not core.home:
        machine.goBack([])
    elif core.unsaved:
        machine.keep([])


# Preparing


@preparing.upon(Inputs.prepare).loop()
def prepareAnother(machine: Inputs, core: Core, data: Preparing, order: Order, answer: Reply) -> None:
    """
    The same once more, or another one in its place.
    """
    if order == data.order:
        data.answers.append(answer)
        return
    data.work.cancel()
    before = data.answers
    data.order, data.answers = order, [answer]
    data.work = core.work(core.build(machine, order))
    core.reply(before, Answer.refused(f"version {order.version} was to be prepared in its place"))


@preparing.upon(Inputs.rollback).loop()
def rollbackPreparing(machine: Inputs, core: Core, data: Preparing, version: int, answer: Reply) -> None:
    """
    Stop building it.
    """
    if version == data.order.version:
        machine.forget([answer])
    else:
        answer.callback(READY)


@preparing.upon(Inputs.forget).to(resting)
def stopPreparing(machine: Inputs, core: Core, data: Preparing, answers: list[Reply]) -> None:
    """
    Nobody wants it any more.
    """
    data.work.cancel()
    core.settle(machine)
    core.reply(data.answers, NOT_WANTED)
    core.reply(answers)


@preparing.upon(Inputs.controllerLost).to(resting)
def controllerLostPreparing(machine: Inputs, core: Core, data: Preparing) -> None:
    """
    The same.
    """
    stopPreparing(machine, core, data, [])


# Prepared


@prepared.upon(Inputs.prepare).loop()
def prepareInstead(machine: Inputs, core: Core, data: Prepared, order: Order, answer: Reply) -> None:
    """
    The same once more, or another one in its place.
    """
    if order == data.order:
        data.timer.reset(order.decide)
        answer.callback(READY)
    else:
        machine.replace(order, answer)


@prepared.upon(Inputs.replace).to(preparing)
def replacePrepared(machine: Inputs, core: Core, data: Prepared, order: Order, answer: Reply) -> None:
    """
    Another one is being built.
    """
    forgetPrepared(core, data)


@prepared.upon(Inputs.commit).loop()
def commitPrepared(machine: Inputs, core: Core, data: Prepared, version: int, answer: Reply) -> None:
    """
    If it is the one.
    """
    if version == data.order.version:
        machine.swap(data.order, data.prepared, answer)
    else:
        answer.callback(Answer.refused(f"version {data.order.version} is prepared, not version {version}"))


@prepared.upon(Inputs.swap).to(swapping)
def swapPrepared(
    machine: Inputs, core: Core, data: Prepared, order: Order, prepared: IPreparedConfiguration, answer: Reply
) -> None:
    """
    It is not waited for any more.
    """
    core.prepared = None
    if data.timer.active():
        data.timer.cancel()


@prepared.upon(Inputs.rollback).loop()
def rollbackPrepared(machine: Inputs, core: Core, data: Prepared, version: int, answer: Reply) -> None:
    """
    If it is the one.
    """
    if version == data.order.version:
        machine.forget([answer])
    else:
        answer.callback(READY)


@prepared.upon(Inputs.forget).to(resting)
def dropPrepared(machine: Inputs, core: Core, data: Prepared, answers: list[Reply]) -> None:
    """
    Nobody wants it any more, or nobody has said so in time.
    """
    forgetPrepared(core, data)
    core.settle(machine)
    core.reply(answers)


@prepared.upon(Inputs.controllerLost).to(resting)
def controllerLostPrepared(machine: Inputs, core: Core, data: Prepared) -> None:
    """
    The same.
    """
    dropPrepared(machine, core, data, [])


def forgetPrepared(core: Core, data: Prepared) -> None:
    """
    What is on disk does no harm: the next one that is prepared takes its place.
    """
    core.prepared = None
    if data.timer.active():
        data.timer.cancel()
    data.prepared.discard()
    core.tell()


# Swapping


@swapping.upon(Inputs.commit).loop()
def commitSwapping(machine: Inputs, core: Core, data: Swapping, version: int, answer: Reply) -> None:
    """
    It is under way.
    """
    if version == data.order.version:
        data.answers.append(answer)
    else:
        answer.callback(notPrepared(version))


@swapping.upon(Inputs.rollback).loop()
def rollbackSwapping(machine: Inputs, core: Core, data: Swapping, version: int, answer: Reply) -> None:
    """
    As soon as it is there.
    """
    if version == data.order.version:
        data.rollbacks.append(answer)
    else:
        answer.callback(READY)


# On trial


@trial.upon(Inputs.commit).loop()
def commitTrial(machine: Inputs, core: Core, data: Trial, version: int, answer: Reply) -> None:
    """
    It was done before.
    """
    answer.callback(READY if version == data.order.version else notPrepared(version))


@trial.upon(Inputs.confirm).loop()
def confirmTrial(machine: Inputs, core: Core, data: Trial, version: int, answer: Reply) -> None:
    """
    If it is the one.
    """
    if version == data.order.version:
        machine.keep([answer])
    else:
        answer.callback(notRunning(core, version))


@trial.upon(Inputs.rollback).loop()
def rollbackTrial(machine: Inputs, core: Core, data: Trial, version: int, answer: Reply) -> None:
    """
    If it is the one.
    """
    if version == data.order.version:
        machine.goBack([answer])
    else:
        answer.callback(READY)


@trial.upon(Inputs.undecided).loop()
def giveUpTrial(machine: Inputs, core: Core, data: Trial) -> None:
    """
    Nobody has decided in time.
    """
    machine.goBack([])


@trial.upon(Inputs.keep).to(keeping)
@trial.upon(Inputs.goBack).to(returning)
def endOfTrial(machine: Inputs, core: Core, data: Trial, answers: list[Reply]) -> None:
    """
    One way or the other.
    """
    if data.timer.active():
        data.timer.cancel()


# Keeping and returning


@keeping.upon(Inputs.commit).loop()
def commitKeeping(machine: Inputs, core: Core, data: Keeping, version: int, answer: Reply) -> None:
    """
    It was done before.
    """
    answer.callback(READY if core.isHomeAt(version) else notPrepared(version))


@keeping.upon(Inputs.confirm).loop()
def confirmKeeping(machine: Inputs, core: Core, data: Keeping, version: int, answer: Reply) -> None:
    """
    It is under way.
    """
    if core.isHomeAt(version):
        data.answers.append(answer)
    else:
        answer.callback(notRunning(core, version))


@returning.upon(Inputs.rollback).loop()
def rollbackReturning(machine: Inputs, core: Core, data: Returning, version: int, answer: Reply) -> None:
    """
    It is under way.
    """
    data.answers.append(answer)


# What a state has no use for


def refuseToPrepare(machine: Inputs, core: Core, order: Order, answer: Reply) -> None:
    """
    One thing at a time.
    """
    answer.callback(Answer.refused(f"it is busy with {core.unfinished}: try again"))


def refuseToCommit(machine: Inputs, core: Core, version: int, answer: Reply) -> None:
    """
    Nothing is prepared.
    """
    answer.callback(notPrepared(version))


def refuseToConfirm(machine: Inputs, core: Core, version: int, answer: Reply) -> None:
    """
    Nothing is on trial; it may have been confirmed before.
    """
    answer.callback(READY if core.isHomeAt(version) else notRunning(core, version))


def nothingToRollBack(machine: Inputs, core: Core, version: int, answer: Reply) -> None:
    """
    What was confirmed stays.
    """
    answer.callback(READY)


swapping.upon(Inputs.prepare, nodata=True).loop()(refuseToPrepare)
trial.upon(Inputs.prepare, nodata=True).loop()(refuseToPrepare)
keeping.upon(Inputs.prepare, nodata=True).loop()(refuseToPrepare)
returning.upon(Inputs.prepare, nodata=True).loop()(refuseToPrepare)
preparing.upon(Inputs.commit, nodata=True).loop()(refuseToCommit)
returning.upon(Inputs.commit, nodata=True).loop()(refuseToCommit)
preparing.upon(Inputs.confirm, nodata=True).loop()(refuseToConfirm)
prepared.upon(Inputs.confirm, nodata=True).loop()(refuseToConfirm)
swapping.upon(Inputs.confirm, nodata=True).loop()(refuseToConfirm)
returning.upon(Inputs.confirm, nodata=True).loop()(refuseToConfirm)
keeping.upon(Inputs.rollback, nodata=True).loop()(nothingToRollBack)
swapping.upon(Inputs.controllerLost, nodata=True).loop().returns(None)
trial.upon(Inputs.controllerLost, nodata=True).loop().returns(None)
keeping.upon(Inputs.controllerLost, nodata=True).loop().returns(None)
returning.upon(Inputs.controllerLost, nodata=True).loop().returns(None)


def notPrepared(version: int) -> Answer:
    """
    The answer to C{commit} of something else.
    """
    return Answer.refused(f"version {version} is not prepared")


def notRunning(core: Core, version: int) -> Answer:
    """
    The answer to C{confirm} of something else.
    """
    runs = "nothing" if core.running is None else f"version {core.running.version}"
    return Answer.refused(f"it runs {runs}, not version {version}")
