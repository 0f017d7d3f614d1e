"""
An impaired link for datagrams: a relay for UDP.
"""

from __future__ import annotations

from collections import OrderedDict
from random import Random
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any, Final

from attrs import frozen
from twisted.internet.protocol import DatagramProtocol

from hermes.testing.links.delay import DelayLine
from hermes.values import Address

MAX_CLIENTS: Final = 1024
"""
Clients whose replies find their way back; the one that was silent longest makes room.
"""

_READ: Final = 65_535

_WAITING: Final = 4 << 20
"""
Bytes that may wait at each socket, as far as the kernel allows it: the link loses what it is told to lose, and no
bursts beside.
"""


@frozen
class DatagramImpairment:
    """
    What is wrong with a link. Shares are of the datagrams of each direction, from 0 to 1.

    @ivar delay: seconds that a datagram takes, each way.
    @ivar jitter: a datagram takes up to so many seconds more, at random.
    @ivar loss: the share that is lost.
    @ivar duplicate: the share that arrives twice.
    @ivar reorder: the share that overtakes: it takes no time.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0


class _Far(DatagramProtocol):
    """
    The socket to the target, for one client.
    """

    noisy = False
    transport: Any

    def __init__(self, link: ImpairedDatagramLink, client: Address) -> None:
        self._link = link
        self._client = client

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self._link.carry(datagram, self._client, False)


class _Near(DatagramProtocol):
    """
    The socket that clients send to.
    """

    noisy = False
    transport: Any

    def __init__(self, link: ImpairedDatagramLink) -> None:
        self._link = link

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self._link.carry(datagram, addr, True)


class ImpairedDatagramLink:
    """
    Passes datagrams on between clients and a target. Down, it loses them all.

    @ivar impairment: may be set at any time; it holds for what comes then.
    @ivar counts: datagrams that came, were lost, were sent twice, and have overtaken others.
    """

    def __init__(
        self,
        reactor: Any,
        target: Address,
        impairment: DatagramImpairment = DatagramImpairment(),
        random: Random | None = None,
        bind: Address = ("127.0.0.1", 0),
    ) -> None:
        """
        @param random: decides the fate of each datagram.
        """
        self.impairment = impairment
        self.counts = {"came": 0, "lost": 0, "duplicated": 0, "reordered": 0}
        self._reactor = reactor
        self._target = target
        self._random = random or Random(0)
        self._bind = bind
        self._near = _Near(self)
        self._clients: OrderedDict[Address, _Far] = OrderedDict()
        self._up = True
        self._line: DelayLine[tuple[bytes, Address, bool]] = DelayLine(reactor, self._arrived)

    @property
    def address(self) -> Address:
        """
        Where it listens.
        """
        here = self._near.transport.getHost()
        return here.host, here.port

    def start(self) -> None:
        """
        Bind, and be up.
        """
        self._listen(self._bind[1], self._near)

    def _listen(self, port: int, protocol: DatagramProtocol) -> None:
        listening = self._reactor.listenUDP(port, protocol, self._bind[0], maxPacketSize=_READ)
        listening.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, _WAITING)

    def up(self) -> None:
        """
        Carry.
        """
        self._up = True

    def down(self) -> None:
        """
        Lose all that comes, and all that is on its way.
        """
        self._up = False
        self.counts["lost"] += len(self._line)
        self._line.clear()

    def stop(self) -> None:
        """
        Be down, for good.
        """
        self.down()
        self._near.transport.stopListening()
        for far in self._clients.values():
            far.transport.stopListening()
        self._clients.clear()

    def carry(self, datagram: bytes, client: Address, forth: bool) -> None:
        """
        A datagram has come.

        @param forth: whether it goes to the target.
        """
        counts, random, impairment = self.counts, self._random, self.impairment
        counts["came"] += 1
        if not self._up or (impairment.loss and random.random() < impairment.loss):
            counts["lost"] += 1
            return
        copies = 1
        if impairment.duplicate and random.random() < impairment.duplicate:
            counts["duplicated"] += 1
            copies = 2
        overtakes = bool(impairment.reorder) and random.random() < impairment.reorder
        if overtakes:
            counts["reordered"] += 1
        now = self._reactor.seconds()
        for _ in range(copies):
            delay = impairment.delay + (random.uniform(0, impairment.jitter) if impairment.jitter else 0.0)
            if overtakes or not delay:
                self._arrived((datagram, client, forth))
            else:
                self._line.put(now + delay, (datagram, client, forth))

    def _arrived(self, item: tuple[bytes, Address, bool]) -> None:
        datagram, client, forth = item
        if not forth:
            self._near.transport.write(datagram, client)
            return
        far = self._clients.get(client)
        if far is None:
            far = self._clients[client] = _Far(self, client)
            self._listen(0, far)
            if len(self._clients) > MAX_CLIENTS:
                _, oldest = self._clients.popitem(last=False)
                oldest.transport.stopListening()
        else:
            self._clients.move_to_end(client)
        far.transport.write(datagram, self._target)
