"""
One neighbour: what it is told and what it tells, in time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.ndn.interfaces import INDNFace
from hermes.ndn.management.internalface import InterestTimeout, Nacked
from hermes.ndn.management.prefixes.messages import UPDATE, Acknowledgement, Update
from hermes.ndn.management.prefixes.paths import Path
from hermes.ndn.management.prefixes.sessions import Hearing, Telling
from hermes.ndn.packet.data import decodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.peek import DataView, InterestView, peekInterest

FIRST_WAIT: Final = 1.0
"""
How long an answer is waited for before any has come, in seconds.
"""

LEAST_WAIT: Final = 0.2


class Express(Protocol):
    """
    Sends Interests: L{hermes.ndn.management.internalface.InternalFace.express}.
    """

    def __call__(self, view: InterestView, nextHop: int | None = None) -> Deferred[DataView]:
        """
        See there.
        """


class Neighbour:
    """
    A face to another node.

    @ivar face: the face.
    @ivar cost: of the link.
    @ivar telling: what it is told.
    @ivar hearing: what it tells.
    @ivar unanswered: how many updates in a row it has not answered.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        face: INDNFace,
        cost: int,
        express: Express,
        telling: Telling,
        hearing: Hearing,
        known: Callable[[], list[bytes]],
        changed: Callable[[Neighbour, dict[bytes, Path | None]], None],
        hold: float,
        random: Callable[[int], bytes],
    ) -> None:
        """
        @param known: all prefixes that it might be told of.
        @param changed: is called with what has changed, of what it can reach.
        @param hold: after how long without a word it is to take this node for gone, in seconds.
        @param random: that many random bytes.
        """
        self.face = face
        self.cost = cost
        self.telling = telling
        self.hearing = hearing
        self.unanswered = 0
        self._clock = clock
        self._express = express
        self._known = known
        self._changed = changed
        self._hello = hold / 3
        self._random = random
        self._roundTrip: float | None = None
        self._sent = 0.0
        self._answer: Deferred[None] | None = None
        self._sending: IDelayedCall | None = None
        self._expiry: IDelayedCall | None = None
        self._up = False

    # Its link

    def up(self) -> None:
        """
        Its link has come up: it is told everything.
        """
        self._up = True
        self._beginAnew()

    def down(self) -> None:
        """
        Its link has gone, and so has what it could reach.
        """
        self._up = False
        self._stopSending()
        self._forget()

    def _stopSending(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.cancel()

    # Telling

    def prefixChanged(self, prefix: bytes) -> None:
        """
        There may be another way to a prefix. It is told once this turn is over.
        """
        self.telling.changed(prefix)
        if self._up and self._answer is None and not self.unanswered:
            self._sendIn(0)

    def _beginAnew(self) -> None:
        self.telling.begin(self._known())
        self.unanswered = 0
        self._stopSending()
        self._sendIn(0)

    def _sendIn(self, seconds: float) -> None:
        sending = self._sending
        if sending is None:
            self._sending = self._clock.callLater(seconds, self._send)
        elif sending.getTime() > self._clock.seconds() + seconds:
            sending.reset(seconds)

    @property
    def _wait(self) -> float:
        """
        How long the next answer is waited for.
        """
        wait = FIRST_WAIT if self._roundTrip is None else max(2 * self._roundTrip + LEAST_WAIT / 2, LEAST_WAIT)
        return float(min(wait * 2 ** min(self.unanswered, 10), self._hello))

    def _send(self) -> None:
        self._sending = None
        nonce = int.from_bytes(self._random(4), "big")
        wire = encodeInterest(
            UPDATE,
            mustBeFresh=True,
            nonce=nonce,
            lifetime=max(int(self._wait * 1000), 1),
            parameters=self.telling.update(),
        )
        self._sent = self._clock.seconds()
        self._answer = self._express(peekInterest(wire), self.face.id).addCallbacks(self._answered, self._failed)

    def _answered(self, view: DataView) -> None:
        self._answer = None
        try:
            answer = Acknowledgement.decode(decodeData(view.wire).content)
        except PacketError as error:
            self._log.info("face {face}: {error}", face=self.face.id, error=str(error))
            self._notAnswered()
            return
        if not self.unanswered:
            # Of one that was sent twice nobody knows which was answered (RFC 6298 section 3).
            measured = self._clock.seconds() - self._sent
            self._roundTrip = measured if self._roundTrip is None else 0.75 * self._roundTrip + 0.25 * measured
        self.unanswered = 0
        if not self.telling.acknowledged(answer):
            self._beginAnew()
        else:
            self._sendIn(0 if self.telling.pending else self._hello)

    def _failed(self, failure: Failure) -> None:
        self._answer = None
        if failure.check(CancelledError, ConnectionDone):
            return
        # A Nack: its management does not run, or knows nothing of us. Then there is no hurry.
        failure.trap(InterestTimeout, Nacked)
        self._notAnswered(failure.check(Nacked) is not None)

    def _notAnswered(self, refused: bool = True) -> None:
        wait = self._wait if refused else 0
        self.unanswered += 1
        if self._up:
            self._sendIn(wait)

    # Hearing

    def updateReceived(self, update: Update) -> Acknowledgement:
        """
        It has something to tell.
        """
        now = self._clock.seconds()
        answer, changes = self.hearing.receive(update, now)
        if self._expiry is None:
            self._expiry = self._clock.callLater(update.hold / 1000, self._checkExpiry)
        else:
            # It may have shortened its time.
            self._expiry.reset(update.hold / 1000)
        if changes:
            self._changed(self, changes)
        if self._up and self.unanswered and self._answer is None:
            # It is there, and so may hear us now.
            self._sendIn(0)
        return answer

    def _checkExpiry(self) -> None:
        self._expiry = None
        self._log.info(
            "node {node} on face {face} has told nothing for too long", node=self.hearing.node, face=self.face.id
        )
        self._forget()

    def _forget(self) -> None:
        expiry, self._expiry = self._expiry, None
        if expiry is not None:
            expiry.cancel()
        gone: dict[bytes, Path | None] = dict.fromkeys(self.hearing.forget())
        if gone:
            self._changed(self, gone)
