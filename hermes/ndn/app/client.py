"""
An application's connection to its forwarder: a Unix socket or TCP, with NDNLPv2 on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.ndn.app.errors import ForwarderUnreachable
from hermes.ndn.app.expressed import Expressed
from hermes.ndn.app.transport import endpointFor
from hermes.ndn.face.framing import PacketFramer
from hermes.ndn.packet import lp
from hermes.ndn.packet.component import implicitDigest
from hermes.ndn.packet.data import Data
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.interest import encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView, peekData, peekInterest
from hermes.ndn.packet.typenumbers import DATA, DEFAULT_LIFETIME, INTEREST

Reply = Callable[[bytes], None]
"""
Answers an Interest with Data, which is encoded and signed.
"""

Handler = Callable[[InterestView, Reply], None]
"""
Is given the Interests under a prefix. It may reply at once, later, or not at all.
"""


class Receiver(Protocol):
    """
    What waits for the answer to an Interest.
    """

    def dataReceived(self, view: DataView, congestionMark: int) -> None:
        """
        Data has come whose name it waits for. It does not wait any more.
        """

    def nackReceived(self, view: InterestView, reason: int) -> None:
        """
        A Nack has come. It does not wait any more.
        """

    def connectionLost(self, reason: Failure) -> None:
        """
        Nothing will come any more.
        """


@implementer(IProtocol)
class Client(StreamProtocol):
    """
    An application of a forwarder: it asks for Data, and answers Interests.

    @ivar clock: what it takes the time from.
    @ivar malformed: how many packets were dropped that the forwarder should not have sent.
    @ivar closed: fires once the connection has ended, with L{None}.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, random: Callable[[], int]) -> None:
        """
        @param random: makes Nonces: 0 to 2^32 - 1.
        """
        self.clock = clock
        self.malformed = 0
        self.closed: Deferred[None] = Deferred()
        self._random = random
        self._framer = PacketFramer()
        # Who waits for this name exactly, and who for what begins with it.
        self._exact: dict[bytes, list[Receiver]] = {}
        self._prefixes: dict[bytes, list[Receiver]] = {}
        # How many of the former end with a digest: then Data has to be looked up by its own as well.
        self._digests = 0
        self._handlers: dict[bytes, Handler] = {}
        self._out: list[bytes] = []
        self._within = False
        self._lost: Failure | None = None

    # What an application does.

    def express(
        self,
        name: Name,
        canBePrefix: bool = False,
        mustBeFresh: bool = False,
        lifetime: int = DEFAULT_LIFETIME,
        **options: Any,
    ) -> Deferred[Data]:
        """
        Send an Interest.

        @param lifetime: for how long an answer is waited for, in milliseconds.
        @param options: more of what L{encodeInterest} takes: C{parameters}, C{signer}, C{hint}, C{hopLimit}.
        @return: fires with the Data, which is not verified. Errback with L{InterestTimeout}, L{InterestNack},
            L{Disconnected}, or L{PacketError} where it is malformed. It can be cancelled.
        @raise ValueError: as L{encodeInterest}.
        """
        options.setdefault("nonce", self._random())
        return self.expressWire(encodeInterest(name, canBePrefix, mustBeFresh, lifetime=lifetime, **options))

    def expressWire(self, wire: bytes) -> Deferred[Data]:
        """
        Send an Interest that was made elsewhere; else as L{express}.
        """
        view = peekInterest(wire)
        expressed = Expressed(self, Name.fromValue(view.name), view.lifetime / 1000)
        self.send(wire, view.name, expressed, view.canBePrefix)
        return expressed.deferred

    def handle(self, prefix: Name, handler: Handler) -> None:
        """
        Give the Interests under a prefix to a handler; of several prefixes, to that of the longest. The forwarder has
        to know of it, too: see L{hermes.ndn.app.registration.register}.
        """
        self._handlers[prefix.value] = handler

    def unhandle(self, prefix: Name) -> None:
        """
        Give it nothing any more.
        """
        self._handlers.pop(prefix.value, None)

    def wait(self, seconds: float) -> Deferred[None]:
        """
        Fires after so long; can be cancelled.
        """
        deferred: Deferred[None] = Deferred(lambda _: timer.cancel())
        timer = self.clock.callLater(seconds, deferred.callback, None)
        return deferred

    def close(self) -> None:
        """
        End the connection, once what was written is sent.
        """
        if self._lost is None and self.transport is not None:
            self._flush()
            self.transport.loseConnection()

    # What a pipeline does: the same without a Deferred and a timer for each Interest.

    def send(self, wire: bytes, name: bytes, receiver: Receiver, canBePrefix: bool = False) -> None:
        """
        Send an Interest whose answer goes to C{receiver}, until it is forgotten.

        @param wire: the Interest.
        @param name: the value of its name.
        """
        if self._lost is not None:
            receiver.connectionLost(self._lost)
            return
        table = self._prefixes if canBePrefix else self._exact
        waiting = table.get(name)
        if waiting is None:
            table[name] = [receiver]
            if _hasDigest(name):
                self._digests += 1
        elif receiver not in waiting:
            waiting.append(receiver)
        self.write(wire)

    def forget(self, name: bytes, receiver: Receiver) -> None:
        """
        Whatever comes for this name does not concern C{receiver} any more.
        """
        for table in (self._exact, self._prefixes):
            waiting = table.get(name)
            if waiting is not None and receiver in waiting:
                if len(waiting) == 1:
                    self._pop(table, name)
                else:
                    waiting.remove(receiver)

    def nonce(self) -> int:
        """
        A new one.
        """
        return self._random()

    def write(self, packet: bytes) -> None:
        """
        Send a packet. Those that are written while others are received leave together.
        """
        if self._within:
            self._out.append(packet)
        elif self._lost is None:
            assert self.transport is not None
            self.transport.write(packet)

    # What comes from the forwarder.

    def connectionMade(self) -> None:
        """
        See L{IProtocol}. From here on the transport tells when its buffer is full.
        """
        register = getattr(self.transport, "registerProducer", None)
        if register is not None:
            register(self, True)

    def pauseProducing(self) -> None:
        """
        The forwarder does not take what is written. Who answers Interests reads no more of them, so that the answers
        don't pile up here; who does not answer any goes on.
        """
        if self._handlers:
            cast(Any, self.transport).pauseProducing()

    def resumeProducing(self) -> None:
        """
        It takes it again.
        """
        cast(Any, self.transport).resumeProducing()

    def stopProducing(self) -> None:
        """
        The connection has ended: L{connectionLost} says so, too.
        """

    def dataReceived(self, data: bytes) -> None:
        """
        See L{IProtocol}.
        """
        try:
            packets = self._framer.receive(data)
        except PacketError as error:
            self._log.error("the forwarder sends no packets: {error}", error=str(error))
            cast(Any, self.transport).abortConnection()
            return
        self._within = True
        try:
            for packet in packets:
                try:
                    self._received(packet)
                except PacketError as error:
                    self.malformed += 1
                    self._log.debug("malformed packet from the forwarder: {error}", error=str(error))
        finally:
            self._within = False
            self._flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        See L{IProtocol}.
        """
        self._lost = reason
        for table in (self._exact, self._prefixes):
            while table:
                for receiver in table.popitem()[1]:
                    receiver.connectionLost(reason)
        self.closed.callback(None)

    def _flush(self) -> None:
        """
        Send what was written while others were received.
        """
        if self._out and self._lost is None:
            assert self.transport is not None
            out, self._out = self._out, []
            self.transport.write(b"".join(out))

    def _received(self, packet: bytes) -> None:
        kind = packet[0]
        if kind == DATA:
            self._data(peekData(packet), 0)
        elif kind == INTEREST:
            self._interest(peekInterest(packet), None)
        else:
            header = lp.decode(packet)
            fragment = header.fragment
            if fragment is None:
                return
            if header.fragCount > 1:
                raise PacketError("a fragment on a link that needs none")
            if header.nackReason is not None:
                self._nack(peekInterest(fragment), header.nackReason)
            elif fragment[:1] == b"\x06":
                self._data(peekData(fragment), header.congestionMark)
            else:
                self._interest(peekInterest(fragment), header.pitToken)

    def _data(self, view: DataView, congestionMark: int) -> None:
        name = view.name
        for receiver in self._pop(self._exact, name):
            receiver.dataReceived(view, congestionMark)
        if self._digests:
            full = name + implicitDigest(view.digest())
            for receiver in (*self._pop(self._exact, full), *self._pop(self._prefixes, full)):
                receiver.dataReceived(view, congestionMark)
        if self._prefixes:
            for end in (0, *view.ends):
                for receiver in self._pop(self._prefixes, name[:end]):
                    receiver.dataReceived(view, congestionMark)

    def _nack(self, view: InterestView, reason: int) -> None:
        for receiver in self._pop(self._prefixes if view.canBePrefix else self._exact, view.name):
            receiver.nackReceived(view, reason)

    def _interest(self, view: InterestView, pitToken: bytes | None) -> None:
        name = view.name
        handlers = self._handlers
        for end in (*view.ends[::-1], 0):
            handler = handlers.get(name[:end])
            if handler is not None:
                break
        else:
            return

        def reply(wire: bytes) -> None:
            self.write(wire if pitToken is None else lp.encode(wire, pitToken=pitToken))

        try:
            handler(view, reply)
        except Exception:
            self._log.failure("the handler of {name} has failed", name=str(Name.fromValue(name)))

    def _pop(self, table: dict[bytes, list[Receiver]], name: bytes) -> Sequence[Receiver]:
        """
        Take out all who wait for a name.
        """
        waiting = table.pop(name, ())
        if waiting and self._digests and _hasDigest(name):
            self._digests -= 1
        return waiting


def _hasDigest(name: bytes) -> bool:
    return name[-34:-32] == b"\x01\x20" and Name.fromValue(name).digest is not None


async def connect(reactor: Any, uri: str, random: Callable[[], int]) -> Client:
    """
    Connect to a forwarder.

    @param reactor: see L{endpointFor}.
    @param uri: its Face URI, such as L{hermes.ndn.app.transport.forwarderURI} finds.
    @param random: see L{Client}.
    @raise ValueError: if it is no URI of a forwarder.
    @raise ForwarderUnreachable: with a sentence for the user.
    """
    endpoint = endpointFor(reactor, uri)
    try:
        protocol = await endpoint.connect(Factory.forProtocol(lambda: Client(reactor, random)))
    except Exception as error:
        raise ForwarderUnreachable(f"no forwarder answers at {uri}: {_cause(error)}") from error
    return cast(Client, protocol)


def _cause(error: Exception) -> str:
    number = getattr(error, "osError", None)
    return os.strerror(number) if isinstance(number, int) else str(error) or type(error).__name__
