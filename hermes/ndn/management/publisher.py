"""
What management publishes: datasets in segments (NFD Management, "Status Dataset"), and notifications, one after the
other ("Notification Stream").
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from attrs import define
from twisted.internet.interfaces import IReactorTime

from hermes.ndn.packet.component import SEGMENT, SEQUENCE, isNumber, number, segment, sequence, version
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView, peekData
from hermes.ndn.packet.signatureinfo import Signer

FRESHNESS: Final = 1000
"""
FreshnessPeriod of all that management says, in milliseconds.
"""

SEGMENT_SIZE: Final = 8000
"""
Content of a segment, in bytes.
"""

KEPT: Final = 10.0
"""
How long the segments of a dataset can be fetched, in seconds.
"""

KEPT_BYTES: Final = 32 << 20
"""
How many bytes of datasets are kept, beside the last.
"""

KEPT_NOTIFICATIONS: Final = 256


@define(eq=False)
class _Dataset:
    """
    One version.
    """

    prefix: Name
    content: bytes
    until: float

    @property
    def cost(self) -> int:
        """
        What it counts against the bound.
        """
        return len(self.content) + 1000


class DatasetPublisher:
    """
    Keeps datasets for as long as it takes to fetch them. A segment is made when it is asked for.
    """

    def __init__(self, clock: IReactorTime, signer: Signer, now: Callable[[], float]) -> None:
        """
        @param now: seconds since 1970: versions are of microseconds.
        """
        self._clock = clock
        self._signer = signer
        self._now = now
        self._version = 0
        self._kept: OrderedDict[bytes, _Dataset] = OrderedDict()
        self._keptBytes = 0

    def publish(self, name: Name, content: bytes) -> DataView:
        """
        Publish a version.

        @param name: the name of the Interest that asks for it.
        @return: its first segment.
        """
        self._version = max(int(self._now() * 1_000_000), self._version + 1)
        now = self._clock.seconds()
        dataset = _Dataset(name + version(self._version), content, now + KEPT)
        self._trim(now)
        self._kept[dataset.prefix.value] = dataset
        self._keptBytes += dataset.cost
        return self._segment(dataset, 0)

    def find(self, view: InterestView) -> DataView | None:
        """
        The segment that an Interest asks for.
        """
        ends = view.ends
        if len(ends) < 2:
            return None
        dataset = self._kept.get(view.name[: ends[-2]])
        if dataset is None or dataset.until <= self._clock.seconds():
            return None
        last = view.name[ends[-2] :]
        if not isNumber(last, SEGMENT):
            return None
        index = number(last)
        return self._segment(dataset, index) if index * SEGMENT_SIZE < max(len(dataset.content), 1) else None

    def _segment(self, dataset: _Dataset, index: int) -> DataView:
        content = dataset.content
        final = segment(max(len(content) - 1, 0) // SEGMENT_SIZE)
        start = index * SEGMENT_SIZE
        return peekData(
            encodeData(
                dataset.prefix + segment(index),
                content[start : start + SEGMENT_SIZE],
                self._signer,
                MetaInfo(freshness=FRESHNESS, finalBlock=final),
            )
        )

    def _trim(self, now: float) -> None:
        kept = self._kept
        while kept:
            first = next(iter(kept.values()))
            if first.until > now and self._keptBytes <= KEPT_BYTES:
                return
            del kept[first.prefix.value]
            self._keptBytes -= first.cost


class NotificationStream:
    """
    Numbered notifications under one prefix. Whoever waits for the next has an Interest for it pending in the forwarder;
    the last few can be asked for once more.
    """

    def __init__(self, prefix: Name, clock: IReactorTime, signer: Signer, send: Callable[[DataView], None]) -> None:
        """
        @param send: sends Data to the forwarder, unasked.
        """
        self.prefix = prefix
        self._clock = clock
        self._signer = signer
        self._send = send
        self._next = 0
        self._last: tuple[float, DataView] | None = None
        self._kept: deque[DataView] = deque(maxlen=KEPT_NOTIFICATIONS)

    def post(self, content: bytes) -> None:
        """
        Publish one.
        """
        name = self.prefix + sequence(self._next)
        self._next += 1
        view = peekData(encodeData(name, content, self._signer, MetaInfo(freshness=FRESHNESS)))
        self._kept.append(view)
        self._last = self._clock.seconds(), view
        self._send(view)

    def find(self, view: InterestView) -> DataView | None:
        """
        The notification that an Interest asks for, where it was there already: by its number, or the last, as long as
        it is fresh.
        """
        if view.name == self.prefix.value:
            last = self._last
            if view.canBePrefix and last is not None and self._clock.seconds() - last[0] < FRESHNESS / 1000:
                return last[1]
            return None
        if len(view.ends) != len(self.prefix) + 1:
            return None
        component = view.name[view.ends[-2] :]
        if not isNumber(component, SEQUENCE):
            return None
        index = number(component) - (self._next - len(self._kept))
        return self._kept[index] if 0 <= index < len(self._kept) else None
