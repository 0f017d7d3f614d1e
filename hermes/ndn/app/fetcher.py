"""
The segments of one object, as many at once as a window lets through.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from hermes.ndn.app.client import Client
from hermes.ndn.app.errors import Disconnected, FetchFailed
from hermes.ndn.app.fetching import FetchOptions, FetchReport, Verifier
from hermes.ndn.app.flights import Flights
from hermes.ndn.app.windows import Window
from hermes.ndn.packet.component import SEGMENT, isNumber, number, segment
from hermes.ndn.packet.data import decodeData
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.lp import NACK_CONGESTION, NACK_DUPLICATE, NACK_TEXTS
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView
from hermes.ndn.packet.typenumbers import CONTENT_NACK
from hermes.values import Buffer

NACK_PAUSE = 0.05
MOST_PAUSE = 2.0
"""
Seconds before a segment that was answered with a Nack is asked for again: doubled each time, up to the latter.
"""


class SegmentFetcher:
    """
    Fetches C{/PREFIX/seg=0} and so on, up to what FinalBlockId says, and delivers contents in order. Memory is bounded:
    it asks for no segment that is too far beyond the first which is missing.

    What is lost is asked for again after a time-out that follows the round trip (RFC 6298), or once others overtake it.

    @ivar report: how it goes, from moment to moment.
    @ivar last: the number of the last segment, or L{None} while nobody has said it.
    """

    def __init__(
        self,
        client: Client,
        prefix: Name,
        window: Window,
        deliver: Callable[[Buffer], object],
        options: FetchOptions = FetchOptions(),  # noqa: B008 (immutable)
        verifier: Verifier | None = None,
        first: int = 0,
        last: int | None = None,
        known: DataView | None = None,
        progress: Callable[[FetchReport], None] | None = None,
    ) -> None:
        """
        @param deliver: is given the content of each segment, in order; borrowed. What it raises ends the fetch.
        @param verifier: each segment is delivered only once it is verified.
        @param first: the first segment that is wanted.
        @param last: the last one; L{None} is that of the object. Where the object ends earlier, so does the fetch.
        @param known: a segment that is here already, verified.
        @param progress: is called whenever something was delivered.
        """
        self.report = FetchReport(prefix)
        self.last = last
        self._client = client
        self._clock = client.clock
        self._prefix = prefix.value
        self._window = window
        self._deliver = deliver
        self._options = options
        self._lifetime = options.lifetime / 1000
        self._verifier = verifier
        self._progress = progress
        self._began = 0.0
        self._next = first
        self._wanted = first
        self._flights = Flights()
        self._again: deque[int] = deque()
        self._tries: dict[int, int] = {}
        self._verifying: dict[int, Deferred[None]] = {}
        self._held: dict[int, DataView] = {}
        self._known = known
        self._highest = -1
        self._recovery = -1
        self._paused = False
        self._filling = False
        self._timer: IDelayedCall | None = None
        self._lookAt = inf
        self._done: Deferred[FetchReport] | None = None

    # What its user does.

    def start(self) -> Deferred[FetchReport]:
        """
        Begin.

        @return: fires once all was delivered. Errback with L{FetchFailed} where a segment can't be had,
            L{Disconnected}, what the verifier or C{deliver} has raised. Cancelling it stops the fetch.
        """
        self._began = self._clock.seconds()
        done: Deferred[FetchReport] = Deferred(lambda _: self._stop())
        self._done = done
        known, self._known = self._known, None
        if known is None:
            self._fill()
        else:
            self._accept(self._segmentOf(known.name), known)
        return done

    def pause(self) -> None:
        """
        Deliver nothing for now. What comes meanwhile is held, and no more is asked for than can be.
        """
        self._paused = True

    def resume(self) -> None:
        """
        Go on.
        """
        self._paused = False
        if self._done is not None:
            self._advance()

    # What the client calls.

    def dataReceived(self, view: DataView, congestionMark: int) -> None:
        """
        See L{hermes.ndn.app.client.Receiver}.
        """
        if self._done is None:
            return
        at = self._segmentOf(view.name)
        report = self.report
        now = self._clock.seconds()
        sent, roundTrip = self._flights.answered(at, now)
        if sent is None:
            # It was late, and was to be asked for again.
            if at not in self._again:
                return
            self._again.remove(at)
        elif roundTrip:
            report.measured(roundTrip)
        self._tries.pop(at, None)
        self._highest = max(self._highest, at)
        if congestionMark:
            report.marks += 1
        if congestionMark and not self._options.ignoreMarks:
            self._congested(now)
        else:
            self._window.received(now, self._flights.roundTrip.smoothed or 0.0, roundTrip)
        lost = () if sent is None else self._flights.takeOvertaken(sent, now)
        if lost:
            report.overtaken += len(lost)
            self._again.extend(lost)
            self._congested(now)
        if self._verifier is None:
            self._accept(at, view)
        else:
            self._verify(at, view, self._verifier)

    def nackReceived(self, view: InterestView, reason: int) -> None:
        """
        See L{hermes.ndn.app.client.Receiver}.
        """
        if self._done is None:
            return
        self.report.nacks[reason] = self.report.nacks.get(reason, 0) + 1
        at = self._segmentOf(view.name)
        if at not in self._flights:
            return
        now = self._clock.seconds()
        tries = self._failed(at, f"Nack, {NACK_TEXTS.get(reason, f'reason {reason}')}")
        if tries is None:
            return
        if reason == NACK_CONGESTION:
            self._congested(now)
        if reason == NACK_DUPLICATE:
            self._flights.take(at)
            self._again.append(at)
            self._fill()
            return
        # It keeps its place in the window, so that nothing else takes it while the network has no room, or no way.
        until = now + min(NACK_PAUSE * 2 ** min(tries - 1, 16), MOST_PAUSE)
        self._flights.hold(at, until)
        self._schedule(until)

    def connectionLost(self, reason: Failure) -> None:
        """
        See L{hermes.ndn.app.client.Receiver}.
        """
        self._fail(Disconnected(f"{self.report.name}: the connection to the forwarder has ended"))

    def _segmentOf(self, name: bytes) -> int:
        return int.from_bytes(name[len(self._prefix) + 2 :], "big")

    # Sending.

    def _fill(self) -> None:
        """
        Send as many Interests as there is room for.
        """
        # Data that comes while something is written, from a forwarder in the same process, has its turn afterwards.
        if self._filling:
            return
        self._filling = True
        try:
            while self._done is not None and len(self._flights) < int(self._window.size):
                if self._again:
                    at = self._again.popleft()
                    if self.last is None or at <= self.last:
                        self._send(at, True)
                    continue
                at = self._next
                if (self.last is not None and at > self.last) or at >= self._wanted + self._options.ahead:
                    break
                self._next += 1
                if at >= self._wanted and at not in self._held:
                    self._send(at, False)
        finally:
            self._filling = False

    def _send(self, at: int, again: bool) -> None:
        now = self._clock.seconds()
        name = Name.fromValue(self._prefix + segment(at))
        client, options, report = self._client, self._options, self.report
        wire = encodeInterest(name, mustBeFresh=options.mustBeFresh, nonce=client.nonce(), lifetime=options.lifetime)
        deadline = self._flights.add(at, now, self._lifetime, self._tries.get(at, 0), again)
        report.sent += 1
        report.mostInFlight = max(report.mostInFlight, len(self._flights))
        # The time-out may have become shorter since the last look was planned.
        if deadline < self._lookAt:
            self._schedule(deadline)
        client.send(wire, name.value, self)

    # What was lost.

    def _schedule(self, when: float) -> None:
        """
        Look at deadlines then, or earlier.
        """
        if when >= self._lookAt:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._lookAt = when
        self._timer = self._clock.callLater(max(when - self._clock.seconds(), 0), self._look)

    def _look(self) -> None:
        """
        Ask again for what has not come in time.
        """
        self._timer = None
        self._lookAt = inf
        now = self._clock.seconds()
        late = self._flights.takeLate(now)
        self._again.extend(at for at, _ in late)
        timedOut = False
        for at, nacked in late:
            if not nacked:
                self.report.timeouts += 1
                timedOut = True
                if self._failed(at, "no answer") is None:
                    return
        if timedOut:
            self._congested(now)
        self._fill()
        if self._done is not None:
            self._schedule(self._flights.deadline)

    def _failed(self, at: int, why: str) -> int | None:
        """
        A segment was not answered with Data.

        @return: how often that was so; L{None} where it was too often.
        """
        tries = self._tries[at] = self._tries.get(at, 0) + 1
        if 0 <= self._options.retries < tries:
            self._fail(FetchFailed(f"{self.report.name}: segment {at} can't be had: {why}, {tries} times"))
            return None
        return tries

    def _congested(self, now: float) -> None:
        """
        The network has dropped or marked something: the window is reduced, once for all that was sent before it was.
        """
        if self._options.everyLoss or self._highest > self._recovery or self._recovery < 0:
            self._recovery = self._next - 1
            self._window.lost(now)

    # What has come.

    def _ends(self, last: int) -> None:
        """
        The object has this last segment.
        """
        if self.last is not None and last >= self.last:
            return
        self.last = last
        for at in self._flights.takeBeyond(last):
            self._client.forget(self._prefix + segment(at), self)
        self._again = deque(at for at in self._again if at <= last)

    def _verify(self, at: int, view: DataView, verifier: Verifier) -> None:
        try:
            data = decodeData(view.wire)
            if verifier.validateNow(data):
                self._accept(at, view)
                return
        except Exception as error:
            self._fail(error)
            return
        # It still counts as on its way to whoever wants it: what is held is bounded by how far ahead is asked for.
        verifying = Deferred.fromCoroutine(verifier.validate(data))
        self._verifying[at] = verifying
        verifying.addCallbacks(lambda _: self._verified(at, view), lambda failure: self._fail(failure.value))
        self._fill()

    def _verified(self, at: int, view: DataView) -> None:
        self._verifying.pop(at, None)
        if self._done is not None:
            self._accept(at, view)

    def _accept(self, at: int, view: DataView) -> None:
        if view.contentType == CONTENT_NACK:
            self._fail(FetchFailed(f"{self.report.name}: the producer has no segment {at}"))
            return
        # Only now: who would believe whatever anybody says of where the object ends?
        final = view.finalBlock
        if final is not None and isNumber(final, SEGMENT):
            self._ends(number(final))
        self._held[at] = view
        if at == self._wanted:
            self._advance()
        else:
            self._fill()

    def _advance(self) -> None:
        """
        Deliver what is next, as far as it has come.
        """
        report, held = self.report, self._held
        before = report.segments
        while not self._paused and self._wanted in held:
            view = held.pop(self._wanted)
            self._wanted += 1
            try:
                content = view.content()
                report.segments += 1
                report.bytes += len(content)
                self._deliver(content)
            except Exception as error:
                self._fail(error)
            if self._done is None:
                return
        report.seconds = self._clock.seconds() - self._began
        if report.segments > before and self._progress is not None:
            self._progress(report)
        if self.last is not None and self._wanted > self.last:
            done = self._done
            self._stop()
            if done is not None:
                done.callback(report)
            return
        self._fill()

    def _fail(self, error: BaseException) -> None:
        done = self._done
        if done is None:
            return
        self._stop()
        self.report.seconds = self._clock.seconds() - self._began
        done.errback(Failure(error))

    def _stop(self) -> None:
        """
        Forget everything that is on its way.
        """
        self._done = None
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        for at in (*self._flights, *self._again):
            self._client.forget(self._prefix + segment(at), self)
        self._flights.clear()
        self._again.clear()
        self._held.clear()
        verifying, self._verifying = self._verifying, {}
        for each in verifying.values():
            each.cancel()
