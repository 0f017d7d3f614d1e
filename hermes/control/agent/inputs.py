"""
What can happen to an agent, and what it holds in each state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from hermes.control.agent.core import Order, Reply
from hermes.control.agent.roles import IPreparedConfiguration


class Inputs(Protocol):
    """
    What can happen to an agent.
    """

    def prepare(self, order: Order, answer: Reply) -> None:
        """
        The controller: build this.
        """

    def commit(self, version: int, answer: Reply) -> None:
        """
        The controller: run what was prepared.
        """

    def confirm(self, version: int, answer: Reply) -> None:
        """
        The controller: it stays.
        """

    def rollback(self, version: int, answer: Reply) -> None:
        """
        The controller: it does not.
        """

    def controllerLost(self) -> None:
        """
        There is no controller any more.
        """

    def stop(self) -> None:
        """
        The node ends.
        """

    def built(self, order: Order, prepared: IPreparedConfiguration) -> None:
        """
        The configuration is built and on disk.
        """

    def notBuilt(self, reasons: Sequence[str]) -> None:
        """
        It can't be.
        """

    def replace(self, order: Order, answer: Reply) -> None:
        """
        Another one is wanted in place of what is prepared.
        """

    def forget(self, answers: list[Reply]) -> None:
        """
        What is prepared is not wanted any more.
        """

    def swap(self, order: Order, prepared: IPreparedConfiguration, answer: Reply) -> None:
        """
        Run it.
        """

    def swapped(self, order: Order) -> None:
        """
        It runs.
        """

    def notSwapped(self, reasons: Sequence[str]) -> None:
        """
        It does not.
        """

    def undecided(self) -> None:
        """
        Nobody has said in time whether it stays.
        """

    def keep(self, answers: list[Reply]) -> None:
        """
        Make it the last good one.
        """

    def kept(self) -> None:
        """
        It is, on disk too.
        """

    def notKept(self, reasons: Sequence[str]) -> None:
        """
        It is, but not on disk.
        """

    def goBack(self, answers: list[Reply]) -> None:
        """
        Run the last good one.
        """

    def back(self) -> None:
        """
        It runs.
        """

    def notBack(self, reasons: Sequence[str]) -> None:
        """
        It does not.
        """

    def again(self) -> None:
        """
        It is time to try once more what has failed.
        """


@define(eq=False)
class Preparing:
    """
    While a configuration is built.
    """

    order: Order
    answers: list[Reply]
    work: Deferred[None]


@define(eq=False)
class Prepared:
    """
    One is built.
    """

    order: Order
    prepared: IPreparedConfiguration
    timer: IDelayedCall


@define(eq=False)
class Swapping:
    """
    It is being swapped to.

    @ivar rollbacks: who wants it back already.
    """

    order: Order
    answers: list[Reply]
    rollbacks: list[Reply]
    work: Deferred[None]


@define(eq=False)
class Trial:
    """
    It runs on trial.
    """

    order: Order
    timer: IDelayedCall


@define(eq=False)
class Keeping:
    """
    It is becoming the last good one.
    """

    answers: list[Reply]
    work: Deferred[None]


@define(eq=False)
class Returning:
    """
    The last good one is being swapped to.
    """

    answers: list[Reply]
    work: Deferred[None]
