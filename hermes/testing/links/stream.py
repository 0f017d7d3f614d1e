"""
An impaired link for byte streams: a relay for TCP.
"""

from __future__ import annotations

import socket
from random import Random
from typing import Any, Final

from attrs import frozen

from hermes.testing.links.delay import DelayLine
from hermes.testing.links.ends import Accepting, Connecting, LinkEnd
from hermes.values import Address

MAX_ON_THE_WAY: Final = 32 << 20
"""
Bytes of one direction of one connection that may be on their way: more than the product of any bandwidth and delay that
these links are for.
"""


BACKLOG: Final = 0.05
"""
Seconds of a limited bandwidth that may be taken up in advance: a link's own queue.
"""


_NEW: Final = 1024


@frozen
class StreamImpairment:
    """
    What is wrong with a link.

    @ivar delay: seconds that a byte takes, each way.
    @ivar bandwidth: bytes a second, each way, all connections together; L{None} for no limit.
    @ivar cutAfter: each connection is reset once so many bytes of the target have come: a number drawn between these
        two; L{None} for never.
    @ivar handshake: whether opening a connection takes a round trip, as TCP's handshake would.
    """

    delay: float = 0.0
    bandwidth: float | None = None
    cutAfter: tuple[int, int] | None = None
    handshake: bool = True


class ImpairedStreamLink:
    """
    Listens, and connects each client to the target. It is up when it has started.

    A link that is down refuses new connections and resets those that are open, as a router without a way does; or,
    as a black hole, accepts and delivers nothing, and what it was given before it delivers when it is up again, as TCP
    does.

    @ivar impairment: may be set at any time; it holds for what comes then.
    @ivar connections: how many were accepted.
    @ivar bytesCarried: how many bytes have come, to the target and from it.
    """

    def __init__(
        self,
        reactor: Any,
        target: Address,
        impairment: StreamImpairment = StreamImpairment(),
        random: Random | None = None,
        bind: Address = ("127.0.0.1", 0),
    ) -> None:
        """
        @param random: draws where connections are cut.
        @param bind: port 0 is any that is free; it is the link's for as long as it runs, up or down.
        """
        self.impairment = impairment
        self.connections = 0
        self.bytesCarried = [0, 0]
        self._reactor = reactor
        self._target = target
        self._random = random or Random(0)
        self._bind = bind
        self._family = socket.AF_INET6 if ":" in bind[0] else socket.AF_INET
        self._reserved: socket.socket | None = None
        self._listening: socket.socket | None = None
        self._port: Any = None
        self._ends: dict[LinkEnd, None] = {}
        self._waiting: dict[LinkEnd, None] = {}
        self._held: dict[LinkEnd, None] = {}
        self._freeAt = [0.0, 0.0]
        self._blackHole = False
        self._line: DelayLine[tuple[LinkEnd, bytes | None]] = DelayLine(reactor, self._arrived)

    @property
    def address(self) -> Address:
        """
        Where it listens.
        """
        assert self._reserved is not None, "not started"
        host, port = self._reserved.getsockname()[:2]
        return host, port

    def start(self) -> None:
        """
        Bind, and be up.
        """
        # Bound and not listening, it keeps the port for when the link is down: connections are refused then.
        self._reserved = self._bound(self._bind)
        self.up()

    def _bound(self, address: Address) -> socket.socket:
        bound = socket.socket(self._family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.setblocking(False)
        return bound

    def up(self) -> None:
        """
        Carry.
        """
        if self._blackHole:
            self._blackHole = False
            self._line.thaw()
            waiting, self._waiting = self._waiting, {}
            for near in waiting:
                self._dial(near)
        if self._port is None:
            listening = self._listening = self._bound(self.address)
            listening.listen(_NEW)
            self._port = self._reactor.adoptStreamPort(listening.fileno(), self._family, Accepting(self))

    def down(self, blackHole: bool = False) -> None:
        """
        Carry nothing.
        """
        if blackHole:
            self._blackHole = True
            self._line.freeze()
            return
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()
        if self._listening is not None:
            # The port closes it in a later turn; whoever connects is refused from now on.
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None
        self.cut()

    def cut(self) -> None:
        """
        Reset every connection that is open.
        """
        ends, self._ends, self._waiting, self._held = self._ends, {}, {}, {}
        self._line.clear()
        for end in ends:
            end.reset()

    def stop(self) -> None:
        """
        Be down, for good.
        """
        self.down()
        if self._reserved is not None:
            self._reserved.close()

    # For its connections

    def accepted(self, near: LinkEnd) -> None:
        """
        A client has come.
        """
        self.connections += 1
        self._ends[near] = None
        if self.impairment.cutAfter is not None:
            near.budget = self._random.randint(*self.impairment.cutAfter)
        if self._blackHole:
            near.held = True
            near.adjust()
            self._waiting[near] = None
        else:
            self._dial(near)

    def _dial(self, near: LinkEnd) -> None:
        if near.gone:
            return
        near.held = False
        near.adjust()
        far = LinkEnd(self, 1)
        near.other, far.other = far, near
        far.budget = near.budget
        self._ends[far] = None
        delay = self.impairment.delay
        connect = self._reactor.connectTCP
        if delay and self.impairment.handshake:
            # Its SYN arrives; what the client sends follows the answer to that.
            near.earliest = self._reactor.seconds() + 3 * delay
            self._reactor.callLater(delay, connect, *self._target, Connecting(near, far))
        else:
            connect(*self._target, Connecting(near, far))

    def carry(self, end: LinkEnd, data: bytes) -> None:
        """
        C{end} has read this; nothing is its end.
        """
        impairment, direction, now = self.impairment, end.direction, self._reactor.seconds()
        size = len(data)
        due = now
        if impairment.bandwidth is not None:
            due = self._freeAt[direction] = max(now, self._freeAt[direction]) + size / impairment.bandwidth
        due = max(due + impairment.delay, end.earliest)
        end.earliest = due
        if size:
            self.bytesCarried[direction] += size
            end.onTheWay += size
            if end.budget is not None and direction == 1:
                end.budget -= size
                if end.budget <= 0:
                    self._cutOne(end)
                    return
        self._line.put(due, (end, data))
        if not end.held and self._tooMuch(end, now):
            end.held = True
            end.adjust()
            self._held[end] = None

    def _tooMuch(self, end: LinkEnd, now: float) -> bool:
        return end.onTheWay > MAX_ON_THE_WAY or self._freeAt[end.direction] > now + BACKLOG

    def _arrived(self, item: tuple[LinkEnd, bytes | None]) -> None:
        end, data = item
        if data is not None:
            end.onTheWay -= len(data)
        other = end.other
        if other is not None and data is not None:
            other.take(data)
        elif other is not None:
            self._ends.pop(other, None)
            other.reset()
        if self._held:
            now = self._reactor.seconds()
            for held in [one for one in self._held if not self._tooMuch(one, now)]:
                del self._held[held]
                held.held = False
                held.adjust()

    def _cutOne(self, end: LinkEnd) -> None:
        for one in (end, end.other):
            if one is not None:
                self._ends.pop(one, None)
                one.reset()

    def ended(self, end: LinkEnd) -> None:
        """
        C{end} is gone.
        """
        self._held.pop(end, None)
        self._waiting.pop(end, None)
        known = end in self._ends
        self._ends.pop(end, None)
        other = end.other
        if known and other is not None and not other.gone and not (end.ended and end.finished):
            # Not in order: a reset follows what is on its way.
            self._line.put(max(self._reactor.seconds() + self.impairment.delay, end.earliest), (end, None))
