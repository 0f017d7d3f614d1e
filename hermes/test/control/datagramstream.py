"""
A process that sends 1,000 datagrams a second, numbered, to a port, and sends back what comes to another one. So that
each crosses an overlay twice, where the one leads to the other.

It prints the port that it sends back from; reads the one that it is to send to, a line; and sends until what it reads
ends. Then it waits for what is still on its way, and prints a L{Tally} as JSON.

A machine that is busy makes it late, and then it sends later: no more are ever on their way than its own socket holds,
lest what it has lost itself counts as lost on the way.
"""

from __future__ import annotations

import json
import os
import select
import time
from socket import AF_INET, SO_RCVBUF, SOCK_DGRAM, SOL_SOCKET, socket

from attrs import asdict, define, field

RATE = 1000.0
"""
Datagrams a second.
"""

MOST = 100
"""
So many may be on their way.
"""

SIZE = 200
"""
Bytes of each.
"""

TICK = 0.002
PATIENCE = 10.0
"""
Seconds after which what has not come is lost.
"""


@define
class Tally:
    """
    What became of them.

    @ivar sent: how many were sent.
    @ivar received: how many came back; each counted once.
    @ivar repeated: how many came more than once.
    @ivar disordered: how many came after a later one.
    @ivar foreign: how many came that were never sent.
    @ivar sources: from how many sources they came to where they are sent back: one for each flow there was.
    @ivar seconds: how long it was sent.
    @ivar slowest: the longest that one took, in seconds.
    """

    sent: int = 0
    received: int = 0
    repeated: int = 0
    disordered: int = 0
    foreign: int = 0
    sources: int = 0
    seconds: float = 0.0
    slowest: float = 0.0


@define(eq=False)
class Stream:
    """
    Both ends.
    """

    tally: Tally = field(factory=Tally)
    near: socket = field(factory=lambda: _socket())
    far: socket = field(factory=lambda: _socket())
    _sentAt: dict[int, float] = field(factory=dict)
    _last: int = -1
    _sources: set[object] = field(factory=set)

    def send(self, port: int) -> None:
        """
        The next one.
        """
        number = self.tally.sent
        self._sentAt[number] = time.monotonic()
        self.near.sendto(number.to_bytes(8, "big").ljust(SIZE, b"."), ("127.0.0.1", port))
        self.tally.sent += 1

    @property
    def onTheWay(self) -> int:
        """
        How many are on their way, or lost since the last that came.
        """
        return self.tally.sent - 1 - self._last

    def look(self, seconds: float) -> bool:
        """
        Take what has come.

        @return: whether anything has.
        """
        ready, _, _ = select.select([self.near, self.far], [], [], seconds)
        for each in ready:
            while True:
                try:
                    data, source = each.recvfrom(2048)
                except BlockingIOError:
                    break
                if each is self.far:
                    self._sources.add(source)
                    self.tally.sources = len(self._sources)
                    self.far.sendto(data, source)
                else:
                    self._back(data)
        return bool(ready)

    def _back(self, data: bytes) -> None:
        tally, number = self.tally, int.from_bytes(data[:8], "big")
        if len(data) != SIZE or number >= tally.sent:
            tally.foreign += 1
            return
        sentAt = self._sentAt.pop(number, None)
        if sentAt is None:
            tally.repeated += 1
            return
        tally.received += 1
        tally.disordered += number < self._last
        tally.slowest = max(tally.slowest, time.monotonic() - sentAt)
        self._last = max(self._last, number)


def _socket() -> socket:
    found = socket(AF_INET, SOCK_DGRAM)
    found.setsockopt(SOL_SOCKET, SO_RCVBUF, 1 << 20)
    found.bind(("127.0.0.1", 0))
    found.setblocking(False)
    return found


def run() -> None:
    """
    Be that process.
    """
    stream = Stream()
    print(f"sends back from {stream.far.getsockname()[1]}", flush=True)
    port = int(os.read(0, 32))
    began = due = time.monotonic()
    while not select.select([0], [], [], 0)[0]:
        now = time.monotonic()
        while due <= now and stream.onTheWay < MOST:
            stream.send(port)
            due += 1 / RATE
        if due < now - 1:
            due = now
        stream.look(TICK)
    stream.tally.seconds = round(time.monotonic() - began, 3)
    end = time.monotonic() + PATIENCE
    while stream.tally.received < stream.tally.sent and time.monotonic() < end:
        if stream.look(0.1):
            end = time.monotonic() + PATIENCE
    print(json.dumps(asdict(stream.tally)), flush=True)


if __name__ == "__main__":
    run()
