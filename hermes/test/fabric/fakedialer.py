"""
Dialers and hops in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from zope.interface import implementer

from hermes.interfaces import IDatagramReceiver, IDialer, IHop, IPacketReceiver
from hermes.test.fabric.fakes import FakeChannel, FakeStream
from hermes.values import Flow


@implementer(IDialer)
@define(eq=False)
class FakeDialer:
    """
    Connects to streams and channels in memory.

    @ivar flows: what was dialed.
    @ivar waiting: with C{hold}, the dials that wait for L{up}.
    @ivar failures: errors by target, as text; the key C{""} is for all.
    """

    clock: Clock
    hold: bool = False
    flows: list[Flow] = field(factory=list)
    streams: list[FakeStream] = field(factory=list)
    channels: list[FakeChannel] = field(factory=list)
    waiting: list[tuple[Deferred[Any], Callable[[], Any]]] = field(factory=list)
    failures: dict[str, Exception] = field(factory=dict)
    cancelled: int = 0

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        def connect() -> IProtocol:
            stream = FakeStream(self.clock)
            self.streams.append(stream)
            stream.attach(protocol)
            return protocol

        return self._dial(flow, connect)

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        def connect() -> IDatagramReceiver:
            channel = FakeChannel()
            self.channels.append(channel)
            channel.setReceiver(receiver)
            return receiver

        return self._dial(flow, connect)

    def connectPackets(self, flow: Flow, receiver: IPacketReceiver) -> Deferred[IPacketReceiver]:
        def connect() -> IPacketReceiver:
            channel = FakeChannel()
            self.channels.append(channel)
            channel.setReceiver(receiver)
            return receiver

        return self._dial(flow, connect)

    def _dial(self, flow: Flow, connect: Callable[[], Any]) -> Deferred[Any]:
        self.flows.append(flow)
        error = self.failures.get(str(flow.target)) or self.failures.get("")
        if error is not None:
            return fail(error)
        if not self.hold:
            return succeed(connect())
        dialed: Deferred[Any] = Deferred(self._cancel)
        self.waiting.append((dialed, connect))
        return dialed

    def _cancel(self, dialed: Deferred[Any]) -> None:
        self.cancelled += 1
        self.waiting = [(waiting, connect) for waiting, connect in self.waiting if waiting is not dialed]

    def up(self) -> None:
        """
        Connect the dial that waits longest.
        """
        dialed, connect = self.waiting.pop(0)
        dialed.callback(connect())


@implementer(IHop)
@define(eq=False)
class FakeHop:
    """
    Another proxy.

    @ivar inside: the dialers that tunnel through it inside another, by the id of that other.
    """

    name: str
    dialer: FakeDialer
    closed: int = 0
    inside: dict[int, NestedDialer] = field(factory=dict)
    takesExchanges: bool = False

    def through(self, dialer: IDialer) -> IDialer:
        return self.inside.setdefault(id(dialer), NestedDialer(self.dialer.clock, carrier=dialer, hop=self.name))

    def close(self) -> Deferred[None]:
        self.closed += 1
        return succeed(None)


@define(eq=False)
class NestedDialer(FakeDialer):
    """
    What L{FakeHop.through} gives.
    """

    carrier: Any = None
    hop: str = ""
