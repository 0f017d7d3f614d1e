"""
Faces whose link we open, and open again when it has gone.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.errors import HermesError
from hermes.interfaces import IDatagramChannel
from hermes.ndn.face.face import Face
from hermes.ndn.face.turn import Turn
from hermes.ndn.interfaces import IFaceReceiver
from hermes.queues import DatagramQueue

FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 10.0
"""
Seconds before a link is opened again: the first time, and at most. Each pause is twice the one before, give or take a
quarter.
"""

LONGEST_WANTED: Final = 1.0
"""
The same at most, give or take a quarter, while something is sent that waits for the link: somebody asks for it.
"""

LONGEST_FRUITLESS: Final = 2.0
"""
The same after a link that came up and was lost before anything had come over it.
"""

MAX_KEPT: Final = 64 * 1024
MAX_KEPT_AGE: Final = 2.0
"""
What is sent while there is no link waits for it: so many bytes, for so many seconds. It is Interests, as a rule, which
would be sent again only once whoever waits for an answer has lost patience.
"""

STABLE: Final = 10.0
"""
A link that was up for so many seconds, or that something came over, was a good one: after it, the first pause is short
again.
"""

PERSISTS: Final = 300.0
"""
Seconds after which a persistent face that has not come up again ends. A permanent one never does.
"""


class DialedFace(Face):
    """
    A face that opens its own link.

    @ivar problem: why the last attempt to open it failed; empty where it did not.
    """

    log = Logger()

    _kept: DatagramQueue

    def __init__(
        self,
        dial: Callable[[], Deferred[IDatagramChannel]],
        *arguments: Any,
        random: Random | None = None,
        **keywords: Any,
    ) -> None:
        """
        @param dial: opens a link; the channel has no receiver yet. Can be cancelled. Errback with a
            L{hermes.errors.FlowError}.
        @param random: spreads the pauses.
        @param arguments: those of L{Face}.
        """
        super().__init__(None, *arguments, **keywords)
        self.problem = ""
        self._dial = dial
        self._random = random or Random()
        self._dialing: Deferred[Any] | None = None
        self._pause = FIRST_PAUSE
        self._fruitless = FIRST_PAUSE
        self._timer: IDelayedCall | None = None
        self._waitsSince = 0.0
        self._hurries = False
        self._upSince: float | None = None
        self._downSince = 0.0
        self._inBefore = 0

    def start(
        self,
        receiver: IFaceReceiver,
        clock: IReactorTime,
        turn: Turn,
        changed: Callable[[Face, Failure | None], None] | None = None,
    ) -> None:
        super().start(receiver, clock, turn, changed)
        self._downSince = clock.seconds()
        self._kept = DatagramQueue(MAX_KEPT, MAX_KEPT_AGE, clock)
        self._attempt()

    def retry(self) -> None:
        """
        Where it waits to open its link again, do so now: something has changed.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._pause = FIRST_PAUSE
            self._attempt()

    def _attempt(self) -> None:
        self._timer = None
        self._dialing = dialing = self._dial()
        dialing.addCallbacks(self._dialed, self._failed)
        dialing.addErrback(lambda failure: self.log.failure("{uri}: dialing failed", failure, uri=self.remoteURI))

    def _dialed(self, channel: IDatagramChannel) -> None:
        self._dialing = None
        self.problem = ""
        if self.ended:
            channel.abortChannel()
            return
        self._upSince = self._clock.seconds()
        self._inBefore = self.counters.inPackets
        self.carry(channel)
        kept = self._kept.popBatch(MAX_KEPT)
        for packet in kept:
            self.put(packet)
        self._tellDropped()

    def _withoutLink(self, packets: list[bytes]) -> None:
        if self.ended:
            super()._withoutLink(packets)
        else:
            self._kept.append(packets)
            self._tellDropped()
            self._hurry()

    def _hurry(self) -> None:
        """
        Somebody wants the link: it is not waited for too long before it is opened again.
        """
        timer = self._timer
        if timer is None or self._hurries:
            return
        self._hurries = True
        left = self._waitsSince + LONGEST_WANTED * self._random.uniform(0.75, 1.25) - self._clock.seconds()
        if left < timer.getTime() - self._clock.seconds():
            timer.reset(max(0.0, left))

    def _tellDropped(self) -> None:
        dropped, self._kept.dropped = self._kept.dropped, 0
        self.counters.drop(dropped)

    def _failed(self, failure: Failure) -> None:
        self._dialing = None
        if self.ended or failure.check(CancelledError):
            return
        problem = failure.getErrorMessage()
        if problem != self.problem:
            self.problem = problem
            self.log.info("face to {uri} can't be opened: {problem}", uri=self.remoteURI, problem=problem)
        if failure.check(HermesError) is None:
            self.log.failure("face to {uri}: opening failed", failure, uri=self.remoteURI)
        if not self._again():
            self.ended = True
            self._gone(failure)

    def persists(self, reason: Failure) -> bool:
        now = self._clock.seconds()
        if self._timer is not None or self._dialing is not None:
            return True
        if self._upSince is None:
            return False
        if now - self._upSince >= STABLE or self.counters.inPackets != self._inBefore:
            self._pause = self._fruitless = FIRST_PAUSE
        else:
            # Somebody takes it, and is of no use; or it comes and goes, and will be of use when it stays.
            self._fruitless = min(self._fruitless * 2, LONGEST_FRUITLESS)
            self._pause = self._fruitless
        self._downSince = now
        self._upSince = None
        return self._again()

    def _again(self) -> bool:
        """
        Try again in a while.

        @return: whether there is any sense in it.
        """
        persistency = self.persistency
        down = self._clock.seconds() - self._downSince
        if persistency == "on-demand" or (persistency == "persistent" and down >= PERSISTS):
            return False
        pause = self._pause * self._random.uniform(0.75, 1.25)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._timer = self._clock.callLater(pause, self._attempt)
        self._waitsSince = self._clock.seconds()
        self._hurries = False
        return True

    def close(self) -> None:
        if self.ended:
            return
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        super().close()
        dialing, self._dialing = self._dialing, None
        if dialing is not None:
            dialing.cancel()
