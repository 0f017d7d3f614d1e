"""
Fetches for tests.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from hermes.ndn.app.fetcher import SegmentFetcher
from hermes.ndn.app.fetching import FetchOptions, FetchReport
from hermes.ndn.app.publisher import BytesSource, SegmentedObject
from hermes.ndn.app.registration import register
from hermes.ndn.app.windows import FixedWindow, Window
from hermes.ndn.packet.component import SEGMENT, isNumber, number
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.app.network import Network

PREFIX = Name.fromText("/a/v=1")


def content(size: int) -> bytes:
    """
    Bytes that show when they are out of place.
    """
    return Random(size).randbytes(size)


def at(view: InterestView | DataView) -> int:
    """
    The segment that it is about; -1 for none.
    """
    last = Name.fromValue(view.name)[-1]
    return number(last) if isNumber(last, SEGMENT) else -1


class Fetch:
    """
    A producer of an object in segments of 100 bytes, and somebody who fetches it.
    """

    def __init__(self, size: int, window: Window | None = None, signer: Signer | None = None, **options: Any) -> None:
        self.network = Network()
        self.network.delay = 0.01
        self.content = content(size)
        self.object = SegmentedObject(PREFIX, BytesSource(self.content), signer or DigestSigner(), 100)
        self.client = self.network.client()
        self.producer = self.network.client()
        self.asked: Counter[int] = Counter()
        self.network.result(
            Deferred.fromCoroutine(register(self.producer, self.network.signer(), PREFIX[:1], self.answer))
        )
        self.got: list[bytes] = []
        self.told: list[tuple[int, int]] = []
        names = ("verifier", "first", "last", "known")
        self.fetcher = SegmentFetcher(
            self.client,
            PREFIX,
            FixedWindow(10) if window is None else window,
            self.deliver,
            FetchOptions(**{key: value for key, value in options.items() if key not in names}),
            progress=lambda report: self.told.append((report.segments, report.bytes)),
            **{key: value for key, value in options.items() if key in names},
        )
        self.begun = self.network.clock.seconds()

    def answer(self, view: InterestView, reply: Any) -> None:
        """
        The producer.
        """
        self.asked[at(view)] += 1
        wire = self.object.data(at(view))
        if wire is not None:
            reply(wire)

    def deliver(self, piece: Any) -> None:
        """
        The consumer.
        """
        self.got.append(bytes(piece))

    def run(self, most: float = 200.0) -> FetchReport:
        """
        Fetch it all.
        """
        report: FetchReport = self.network.result(self.fetcher.start(), most)
        return report
