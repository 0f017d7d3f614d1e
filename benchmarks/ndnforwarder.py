#!/usr/bin/env python3
"""
The forwarder alone, in memory, with faces that do nothing.

    benchmarks/ndnforwarder.py

Prints microseconds for an exchange (an Interest to the next hop, its Data back and into the Content Store), for an
answer from the Content Store, for an Interest that is added to one that is pending; beside them what reading the
packets costs, which is not in those figures. What counts is the process's own time. And bytes of memory for each entry
of the PIT and of the Content Store.
"""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock

from hermes.ndn.face.counters import FaceCounters
from hermes.ndn.forwarder.contentstore import ContentStore
from hermes.ndn.forwarder.forwarder import Forwarder
from hermes.ndn.packet.component import segment
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView, peekData, peekInterest
from hermes.ndn.packet.tlv import encodeElement, encodeInteger

COUNT = 20_000
ROUNDS = 5
OBJECT = Name.fromText("/example/site/app/object/v=1700000000000000")


class Time(Clock):
    """
    Real time, without timers: nothing expires while it is measured.
    """

    def seconds(self) -> float:
        return time.monotonic()


class Face:
    """
    Sends nothing.
    """

    local = True
    linkType = "point-to-point"
    up = True

    def __init__(self, faceID: int) -> None:
        self.id = faceID
        self.counters = FaceCounters()

    def sendInterest(self, view: InterestView, pitToken: bytes | None = None, incomingFace: int | None = None) -> None:
        pass

    def sendData(
        self, view: DataView, pitToken: bytes | None = None, congestionMark: int = 0, incomingFace: int | None = None
    ) -> None:
        pass

    def sendNack(
        self, view: InterestView, reason: int, pitToken: bytes | None = None, incomingFace: int | None = None
    ) -> None:
        raise RuntimeError(f"Nack {reason}")


def interests(first: int = 0) -> list[bytes]:
    return [encodeInterest(OBJECT + segment(number), nonce=first + number) for number in range(COUNT)]


def datas(size: int) -> list[bytes]:
    tail = (
        encodeElement(0x14, encodeInteger(0x19, 10_000))
        + encodeElement(0x15, bytes(size))
        + encodeElement(0x16, encodeInteger(0x1B, 0))
        + encodeElement(0x17, bytes(32))
    )
    return [encodeElement(0x06, (OBJECT + segment(number)).encode() + tail) for number in range(COUNT)]


def forwarder(strategy: str, capacity: int = 16 << 20) -> tuple[Any, list[Any]]:
    made = Forwarder(Time(), strategy=strategy, pitCapacity=1 << 30, random=random.Random(1))
    made.cs.capacity = capacity
    faces = [Face(256 + number) for number in range(4)]
    for face in faces:
        made.addFace(face)
    made.setNextHop(OBJECT[:2].value, faces[1].id, 1)
    return made, faces


def best(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(ROUNDS)) / COUNT * 1e6


def times(strategy: str, size: int) -> dict[str, float]:
    asked, again, answers = interests(), interests(COUNT), datas(size)

    def reading() -> float:
        started = time.process_time()
        for one, other in zip(asked, answers, strict=True):
            peekInterest(one)
            peekData(other)
        return time.process_time() - started

    def exchanges() -> float:
        made, faces = forwarder(strategy)
        started = time.process_time()
        for one, other in zip(asked, answers, strict=True):
            made.receiveInterest(faces[0], peekInterest(one))
            made.receiveData(faces[1], peekData(other))
        return time.process_time() - started

    def readingInterests() -> float:
        started = time.process_time()
        for one in again:
            peekInterest(one)
        return time.process_time() - started

    def hits() -> float:
        made, faces = forwarder(strategy, 1 << 30)
        for other in answers:
            made.cs.insert(peekData(other))
        started = time.process_time()
        for one in again:
            made.receiveInterest(faces[0], peekInterest(one))
        elapsed = time.process_time() - started
        if made.cs.hits != COUNT:
            raise RuntimeError("not all were hits")
        return elapsed

    def joins() -> float:
        """
        At once, so that it is suppressed.
        """
        made, faces = forwarder(strategy)
        elapsed = 0.0
        for one, two in zip(asked, again, strict=True):
            made.receiveInterest(faces[0], peekInterest(one))
            view = peekInterest(two)
            started = time.process_time()
            made.receiveInterest(faces[2], view)
            elapsed += time.process_time() - started
        return elapsed

    bare, bareInterest = best(reading), best(readingInterests)
    return {
        "reading both": bare,
        "exchange": best(exchanges) - bare,
        "from the store": best(hits) - bareInterest,
        "one more": best(joins),
    }


def held(make: Callable[[], object]) -> float:
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = make()
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    del kept
    return used / COUNT


def memory() -> None:
    asked, answers = interests(1 << 30), datas(100)

    def store() -> object:
        kept = ContentStore(Clock(), 1 << 30)
        for wire in answers:
            kept.insert(peekData(bytes(bytearray(wire))))
        return kept

    def pending(faceNumber: int) -> object:
        for wire in asked:
            made.receiveInterest(faces[faceNumber], peekInterest(bytes(bytearray(wire))))
        return made

    wire = len(answers[-1])
    print(f"{'bytes: packet in the Content Store':42}{held(store) - wire:8.0f}  and the packet")
    made, faces = forwarder("best-route")
    wire = len(asked[-1])
    print(f"{'bytes: entry of the PIT':42}{held(lambda: pending(0)) - wire:8.0f}  and the Interest")
    asked = interests(1 << 31)
    print(f"{'bytes: one more who waits':42}{held(lambda: pending(2)) - wire:8.0f}  and the Interest")


def main() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    for strategy in ("best-route", "multicast", "asf"):
        for name, figure in times(strategy, 1000).items():
            print(f"{f'us, {strategy}: {name}':42}{figure:8.2f}", flush=True)
    memory()


if __name__ == "__main__":
    main()
