"""
How long Data takes: C{/PREFIX/ping/NUMBER}, as NDN's C{ndnping} and C{ndnpingserver} have it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from attrs import define, frozen
from twisted.internet.defer import Deferred

from hermes.ndn.app.client import Client, Reply
from hermes.ndn.app.errors import InterestNack, InterestTimeout
from hermes.ndn.packet.component import generic
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView
from hermes.ndn.packet.signatureinfo import Signer

PING = generic(b"ping")


@frozen
class Answer:
    """
    How one went.

    @ivar number: its sequence number.
    @ivar seconds: the round trip; L{None} where no Data came.
    @ivar nack: the reason of the Nack that came instead; L{None} where none did.
    """

    number: int
    seconds: float | None = None
    nack: int | None = None


@define
class PingReport:
    """
    How they all went; times in seconds.
    """

    sent: int = 0
    received: int = 0
    nacked: int = 0
    shortest: float = 0.0
    longest: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    elapsed: float = 0.0

    @property
    def average(self) -> float:
        """
        The mean round trip.
        """
        return self.total / self.received if self.received else 0.0

    @property
    def deviation(self) -> float:
        """
        Their standard deviation.
        """
        return sqrt(max(self.squares / self.received - self.average**2, 0.0)) if self.received else 0.0

    def add(self, answer: Answer) -> None:
        """
        Count one.
        """
        if answer.nack is not None:
            self.nacked += 1
        elif answer.seconds is not None:
            self.shortest = min(self.shortest, answer.seconds) if self.received else answer.seconds
            self.longest = max(self.longest, answer.seconds)
            self.total += answer.seconds
            self.squares += answer.seconds**2
            self.received += 1


class Pinger:
    """
    Sends Interests at an interval.

    @ivar report: how it goes.
    """

    def __init__(
        self,
        client: Client,
        prefix: Name,
        first: int,
        told: Callable[[Answer], None],
        interval: float = 1.0,
        timeout: int = 4000,
        count: int | None = None,
        identifier: bytes | None = None,
        allowCached: bool = False,
    ) -> None:
        """
        @param first: the first sequence number.
        @param told: is told how each went.
        @param interval: seconds.
        @param timeout: the lifetime of each, in milliseconds.
        @param count: how many; L{None} for no end.
        @param identifier: a component before the number, so that several may ping at once.
        @param allowCached: whether caches may answer with what is not fresh.
        """
        self.report = PingReport()
        self._client = client
        self._base = prefix + PING
        if identifier is not None:
            self._base = self._base + generic(identifier)
        self._next = first
        self._told = told
        self._interval = interval
        self._timeout = timeout
        self._count = count
        self._allowCached = allowCached

    async def run(self) -> PingReport:
        """
        Send them all, and wait for the answers.

        @raise Disconnected: where the forwarder goes away.
        """
        clock = self._client.clock
        began = clock.seconds()
        waiting: list[Deferred[None]] = []
        try:
            while self._count is None or self.report.sent < self._count:
                if self.report.sent:
                    # By the clock, so that many short waits don't add up to more than they should.
                    pause = began + self.report.sent * self._interval - clock.seconds()
                    await self._client.wait(max(pause, 0))
                waiting = [each for each in waiting if not each.called]
                waiting.append(Deferred.fromCoroutine(self._one(self._next)))
                self._next = (self._next + 1) % (1 << 64)
            for each in waiting:
                await each
        finally:
            self.report.elapsed = clock.seconds() - began
            for each in waiting:
                each.addErrback(lambda _: None)
                each.cancel()
        return self.report

    async def _one(self, number: int) -> None:
        clock = self._client.clock
        began = clock.seconds()
        self.report.sent += 1
        try:
            await self._client.express(
                self._base + generic(b"%d" % number), mustBeFresh=not self._allowCached, lifetime=self._timeout
            )
            answer = Answer(number, clock.seconds() - began)
        except InterestTimeout:
            answer = Answer(number)
        except InterestNack as nack:
            answer = Answer(number, nack=nack.reason)
        self.report.add(answer)
        self._told(answer)


class PingServer:
    """
    Answers them.

    @ivar answered: how many.
    """

    def __init__(
        self,
        prefix: Name,
        signer: Signer,
        told: Callable[[Name], None],
        size: int = 0,
        freshness: int = 1000,
        most: int | None = None,
    ) -> None:
        """
        @param told: is told the name of each Interest that is answered.
        @param size: content of each, in bytes.
        @param freshness: in milliseconds.
        @param most: how many are answered; L{None} for no end.
        """
        self.answered = 0
        self.ended: Deferred[None] = Deferred()
        self.prefix = prefix + PING
        self._signer = signer
        self._told = told
        self._content = bytes(size)
        self._metaInfo = MetaInfo(freshness=freshness)
        self._most = most

    def answer(self, view: InterestView, reply: Reply) -> None:
        """
        The L{hermes.ndn.app.client.Handler} for C{prefix}.
        """
        if self._most is not None and self.answered >= self._most:
            return
        name = Name.fromValue(view.name)
        reply(encodeData(name, self._content, self._signer, self._metaInfo))
        self.answered += 1
        self._told(name)
        if self.answered == self._most:
            self.ended.callback(None)
