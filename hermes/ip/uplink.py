"""
A tunnel to a hop that packets go through, and the next one when it must be another: that one is up before the old one
is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.errors import FlowError
from hermes.interfaces.packet import AddressRange
from hermes.ip.line import Line
from hermes.ip.pauses import Pauses
from hermes.ip.port import HEADER, Port
from hermes.ip.prefixes import IPAddress, IPNetwork
from hermes.queues import DatagramQueue
from hermes.values import ANONYMOUS, Buffer

LINGER: Final = 5.0
"""
Seconds for which what is on its way in a tunnel that was replaced is waited for.
"""

STABLE: Final = 2.0
"""
Seconds after which a tunnel that ends is opened anew at once. One that ends sooner was of no use, as if it could not be
had.
"""

EXPECTED: Final = 3.0
"""
For how many seconds of tries that fail a tunnel is waited for before packets are sent here all the same.
"""

WAITING_BYTES: Final = 1 << 18
WAITING_AGE: Final = 1.0
"""
What waits while there is no tunnel: bytes, and seconds.
"""


class Uplink(Port):
    """
    The way over some hops. It stays the same port while its tunnels come and go.

    @ivar line: the tunnel that packets leave by; L{None} while there is none.
    @ivar settled: fires once it is up, or could not be had for a while: at first, and when L{expect} waits for it.
    @ivar opened: how many tunnels it has had.
    @ivar failure: what went wrong last, in words; L{None} while it is up.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        switch: Any,
        clock: IReactorTime,
        dial: Callable[[Any], Deferred[Any]],
        wishes: Callable[[], Sequence[IPNetwork]],
        changed: Callable[[], None],
        random: Random | None = None,
    ) -> None:
        """
        @param dial: opens a tunnel for a receiver.
        @param wishes: the addresses to ask a hop for.
        @param changed: called when addresses or routes that the hop tells are others.
        @param random: spreads the pauses between tries.
        """
        super().__init__(name, switch)
        self.clock = clock
        self.wishes = wishes
        self.line: Line | None = None
        self.settled: Deferred[None] | None = Deferred()
        self._expected = clock.seconds()
        self.opened = 0
        self.failure: str | None = None
        self._dial = dial
        self._changed = changed
        self._dialing: Deferred[Any] | None = None
        self._next: Line | None = None
        # The one that is used, or was.
        self._last = Line(self)
        self._old: dict[Line, IDelayedCall | None] = {}
        self._retry: IDelayedCall | None = None
        self._hurried = False
        self._pauses = Pauses(clock, random or Random())
        self._closed = False
        self._waiting = DatagramQueue(WAITING_BYTES, WAITING_AGE, clock)
        # Until it is known that there is no tunnel to be had, packets wait for one.
        self.up = True
        switch.addPort(self)

    @property
    def assigned(self) -> tuple[IPNetwork, ...]:
        """
        What the hop lets us send from. While there is no tunnel, what it did: connections outlive that, and what goes
        through it is to go nowhere else.
        """
        return self._last.assigned

    @property
    def routes(self) -> tuple[AddressRange, ...]:
        """
        What the hop says it leads to; while there is no tunnel, what it said.
        """
        return self._last.routes

    @property
    def dropped(self) -> int:
        return self._waiting.dropped + (0 if self.line is None else self.line.channel.droppedDatagrams)

    def mayCome(self, source: IPAddress) -> bool:
        owner = self.switch.owners.find(source)
        return owner is None or owner is self

    # Opening

    def open(self, dial: Callable[[Any], Deferred[Any]] | None = None) -> None:
        """
        Open a tunnel, beside the one there is. That goes on until the new one is up.

        @param dial: in place of the one before.
        """
        if dial is not None:
            self._dial = dial
            self._pauses.reset()
        if self._closed:
            return
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        self._retry = None
        self._abandon()
        line = self._next = Line(self)
        dialing = self._dialing = self._dial(line)
        dialing.addCallbacks(lambda _: None, lambda failure: self._failed(line, failure))
        dialing.addErrback(lambda failure: self.log.failure("{name}: opening failed", failure, name=self.name))

    def expect(self) -> Deferred[None] | None:
        """
        Packets are to go here soon: where there is no tunnel, have one now.

        @return: fires once it is up, or could not be had for a while; L{None} where it is up.
        """
        if self.line is None and self.settled is None and not self._closed:
            self.settled = Deferred()
            self._expected = self.clock.seconds()
            if self._next is None:
                self.open()
        return self.settled

    def _abandon(self) -> None:
        """
        Give up the tunnel that is being opened.
        """
        dialing, self._dialing = self._dialing, None
        line, self._next = self._next, None
        if dialing is not None:
            dialing.cancel()
        if line is not None:
            line.close()

    def _failed(self, line: Line, failure: Failure) -> None:
        if self._next is not line:
            # Another try has taken its place.
            return
        self._dialing = self._next = None
        if failure.check(FlowError) is None:
            self.log.failure("{name}: opening a tunnel failed", failure, name=self.name)
        self._again(failure.getErrorMessage() or type(failure.value).__name__)

    def _again(self, why: str) -> None:
        if self.line is None:
            if self.failure is None:
                self.log.warn("{name}: no tunnel: {why}", name=self.name, why=why)
            self.failure = why
            if self.up:
                self.up = False
                self._changed()
        if self.clock.seconds() - self._expected >= EXPECTED:
            self._settle()
        if self._closed or self._retry is not None:
            return
        self._retry = self.clock.callLater(self._pauses.next(), self.open)
        self._hurried = False

    def _settle(self) -> None:
        settled, self.settled = self.settled, None
        if settled is not None:
            settled.callback(None)

    def lineReady(self, line: Line) -> None:
        """
        A new tunnel is up: packets go there from now on.
        """
        if self._closed or line is not self._next:
            line.close()
            return
        old, self.line = self.line, line
        self._last = line
        self._dialing = self._next = None
        self.opened += 1
        if self.failure is not None:
            self.log.info("{name}: there is a tunnel", name=self.name)
        self.failure = None
        self.limit = line.channel.mtu + HEADER
        self.identity = getattr(line.channel, "identity", ANONYMOUS)
        self.up = True
        if old is not None:
            self._leave(old)
        self._changed()
        self._settle()
        waiting = self._waiting.popBatch(WAITING_BYTES)
        if waiting:
            self.write(waiting)

    def _leave(self, old: Line) -> None:
        self._old[old] = self.clock.callLater(LINGER, self._left, old)

    def _left(self, old: Line) -> None:
        # It is forgotten when it is lost.
        self._old[old] = None
        old.close()

    # What lines tell

    def goingAway(self, line: Line) -> None:
        """
        The hop asks to finish: have another tunnel, at another endpoint or in another process, before that.
        """
        if line is self.line and self._next is None:
            self._lasted(line)
            self.open()

    def lineLost(self, line: Line, reason: Failure) -> None:
        """
        A tunnel has ended.
        """
        timer = self._old.pop(line, None)
        if timer is not None and timer.active():
            timer.cancel()
        if line is self._next:
            self._dialing = self._next = None
            self._again(f"the tunnel ended before it was used: {reason.getErrorMessage()}")
        elif line is self.line:
            self.line = None
            self.up = not self._closed
            if not self._closed and self._next is None:
                # What could not be had beside it may be had now that it has ended: a process that starts anew.
                if self._lasted(line):
                    self.open()
                else:
                    self._again(f"the tunnel ended at once: {reason.getErrorMessage()}")
            self._changed()

    def _lasted(self, line: Line) -> bool:
        """
        Whether a tunnel has been up for a while. Then what fails after it has nothing to do with what failed before.
        """
        lasted = self.clock.seconds() - line.since >= STABLE
        if lasted:
            self._pauses.reset()
        return lasted

    def lineMTU(self, line: Line, mtu: int) -> None:
        """
        A tunnel's MTU is another.
        """
        if line is self.line:
            self.limit = mtu + HEADER

    def assignmentChanged(self, line: Line) -> None:
        """
        The hop has given or taken addresses.
        """
        if line is self.line:
            self._changed()

    def routesChanged(self, line: Line) -> None:
        """
        The hop leads to other addresses.
        """
        if line is self.line:
            self._changed()

    # Packets

    def write(self, frames: Sequence[Buffer]) -> None:
        line = self.line
        if line is None:
            self._waiting.append(frames)
            return
        self.packetsOut += len(frames)
        self.bytesOut += sum(map(len, frames))
        for tap in self.taps:
            tap("out", frames)
        line.channel.write(frames)

    def missed(self) -> None:
        retry = self._retry
        if retry is None or self._hurried or not retry.active():
            return
        self._hurried = True
        left = self._pauses.wanted()
        if left < retry.getTime() - self.clock.seconds():
            retry.reset(left)

    def close(self) -> None:
        """
        End all tunnels in order.
        """
        self._closed = True
        self.up = False
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        self._abandon()
        for line, timer in list(self._old.items()):
            if timer is not None and timer.active():
                timer.cancel()
            self._old[line] = None
            line.close()
        if self.line is not None:
            self.line.close()
        self.switch.removePort(self)
        self._settle()
