"""
How a fetch goes, while it does and at the end.
"""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskProgressColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from hermes.ndn.app.fetcher import SegmentFetcher
from hermes.ndn.app.fetching import FetchReport
from hermes.ndn.packet.lp import NACK_TEXTS

INTERVAL = 0.1


class Progress:
    """
    A bar, on a terminal.
    """

    def __init__(self, clock: IReactorTime, console: Console, quiet: bool) -> None:
        """
        @param quiet: there is none.
        """
        self._bar: Bar | None = None
        self._fetcher: SegmentFetcher | None = None
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock
        if console.is_terminal and not quiet:
            columns = (
                BarColumn(),
                TaskProgressColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
            )
            # It has no thread of its own: it is drawn when it is looked at.
            self._bar = Bar(*columns, console=console, auto_refresh=False, transient=True)
            self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
            self._looking.start(INTERVAL, now=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._looking.running:
            self._looking.stop()
        if self._bar is not None:
            self._look()
            self._bar.stop()

    def watch(self, fetcher: SegmentFetcher) -> None:
        """
        Show this one.
        """
        self._fetcher = fetcher

    def _look(self) -> None:
        fetcher, bar = self._fetcher, self._bar
        if fetcher is None or bar is None:
            return
        report = fetcher.report
        total = None
        if fetcher.last is not None and report.segments:
            # All segments but the last are of one size.
            total = max(round(report.bytes / report.segments * (fetcher.last + 1)), report.bytes)
        bar.update(self._task, completed=report.bytes, total=total)
        bar.refresh()


def summary(report: FetchReport, verified: bool) -> str:
    """
    How it went, a line for each thing, in the words of C{ndncatchunks}.

    @param verified: whether signatures were, up to a trust anchor.
    """
    nacks = ", ".join(f"{NACK_TEXTS.get(reason, reason)} {count}" for reason, count in sorted(report.nacks.items()))
    lines = [
        f"{report.name}: all segments have been received" + (" and verified." if verified else "."),
        f"Time elapsed: {report.seconds:.3f} seconds",
        f"Segments received: {report.segments}",
        f"Transferred size: {report.bytes / 1000:.3f} kB",
        f"Goodput: {report.goodput * 8 / 1e6:.3f} Mbit/s",
        f"Congestion marks: {report.marks}",
        f"Timeouts: {report.timeouts}, overtaken: {report.overtaken}, of {report.sent} Interests ({report.loss:.2%})",
    ]
    if nacks:
        lines.append(f"Nacks: {nacks}")
    if report.roundTrips:
        trips = (report.shortest, report.total / report.roundTrips, report.longest)
        lines.append("RTT min/avg/max = " + "/".join(f"{trip * 1000:.3f}" for trip in trips) + " ms")
    return "\n".join(lines)
