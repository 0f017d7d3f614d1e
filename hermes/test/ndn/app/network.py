"""
A network in memory: applications connected to one forwarder, which is as simple as can be, and loses, delays and marks
what it is told to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer, ITransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.ndn.app.client import Client
from hermes.ndn.face.framing import PacketFramer
from hermes.ndn.management.control import ControlParameters, ControlResponse
from hermes.ndn.packet import lp
from hermes.ndn.packet.component import componentValue
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.interest import decodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView, peekData, peekInterest
from hermes.ndn.security.signedinterest import InterestSigner, signatureOf
from hermes.ndn.security.signers import DigestSigner
from hermes.ndn.security.verifiers import DigestVerifier

COMMANDS = [Name.fromText(f"/localhost/nfd/rib/{verb}") for verb in ("register", "unregister")]


@implementer(ITransport)
class End:
    """
    One application's end: what it writes reaches the network.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.framer = PacketFramer()
        self.client: Client | None = None
        self.producer: IPushProducer | None = None
        self.reading = True
        self.unread: list[bytes] = []
        self.disconnecting = False
        self.written: list[bytes] = []
        self.peer: Any = UNIXAddress("/run/hermes/ndn.sock")

    def write(self, data: bytes) -> None:
        """
        See L{ITransport}.
        """
        if self.disconnecting:
            return
        self.written.append(data)
        for packet in self.framer.receive(data):
            self.network.received(self, packet)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        See L{ITransport}.
        """
        self.write(b"".join(data))

    def deliver(self, packet: bytes) -> None:
        """
        Bytes for the application.
        """
        if self.client is None or self.disconnecting:
            return
        if not self.reading:
            self.unread.append(packet)
        else:
            self.client.dataReceived(packet)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        See L{IConsumer}.
        """
        self.producer = producer

    def pauseProducing(self) -> None:
        """
        See L{IPushProducer}.
        """
        self.reading = False

    def resumeProducing(self) -> None:
        """
        See L{IPushProducer}.
        """
        self.reading = True
        unread, self.unread = self.unread, []
        for packet in unread:
            self.deliver(packet)

    def loseConnection(self) -> None:
        """
        See L{ITransport}.
        """
        if not self.disconnecting:
            self.disconnecting = True
            assert self.client is not None
            self.client.connectionLost(Failure(ConnectionDone()))

    abortConnection = loseConnection

    def getPeer(self) -> Any:
        """
        See L{ITransport}.
        """
        return self.peer

    getHost = getPeer


class Network:
    """
    The forwarder.

    @ivar delay: how long a packet takes between an application and the forwarder's other side, in seconds.
    @ivar loses: says of each Interest and Data whether it gets lost: is called with its view.
    @ivar marks: says which congestion mark Data gets.
    @ivar nacks: says whether an Interest is answered with a Nack, and with which reason.
    @ivar refuses: the code that commands are answered with; 200 takes them.
    @ivar interests: all that have come, commands excepted.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.delay = 0.0
        self.loses: Callable[[InterestView | DataView], bool] = lambda view: False
        self.marks: Callable[[DataView], int] = lambda view: 0
        self.nacks: Callable[[InterestView], int | None] = lambda view: None
        self.refuses = 200
        self.interests: list[InterestView] = []
        self.commands: list[tuple[str, Name]] = []
        self.ends: list[End] = []
        self.routes: dict[bytes, End] = {}
        self.tokens = count(1)
        # Who waits for the Data of which name, and whether it may be longer.
        self.pending: dict[bytes, list[tuple[End, bool]]] = {}

    def client(self) -> Client:
        """
        Another application.
        """
        nonces = count(1)
        client = Client(self.clock, lambda: next(nonces))
        end = End(self)
        end.client = client
        self.ends.append(end)
        client.makeConnection(end)
        return client

    def signer(self) -> InterestSigner:
        """
        What commands are signed with.
        """
        return InterestSigner(DigestSigner(), self.clock.seconds, bytes)

    def run(self, seconds: float = 10.0, step: float = 0.01) -> None:
        """
        Let time pass.
        """
        self.clock.pump([step] * round(seconds / step))

    def result(self, deferred: Deferred[Any], most: float = 60.0) -> Any:
        """
        Let time pass until it has fired; its result, or raise what it has failed with.
        """
        found: list[Any] = []
        deferred.addBoth(found.append)
        step = max(self.delay, 0.01)
        while not found and most > 0:
            self.clock.advance(step)
            most -= step
        if not found:
            raise AssertionError("nothing has come of it")
        if isinstance(found[0], Failure):
            found[0].raiseException()
        return found[0]

    def received(self, end: End, packet: bytes) -> None:
        """
        What an application has sent.
        """
        header = lp.decode(packet)
        fragment = header.fragment
        assert fragment is not None
        if fragment[0] == 5:
            view = peekInterest(fragment)
            if Name.fromValue(view.name)[:4] in COMMANDS:
                self._later(self._command, end, view)
                return
            self.interests.append(view)
            if not self.loses(view):
                self._later(self._interest, end, view)
        else:
            data = peekData(fragment)
            if not self.loses(data):
                self._later(self._data, data)

    def _later(self, function: Callable[..., None], *arguments: Any) -> None:
        self.clock.callLater(self.delay, function, *arguments)

    def _interest(self, end: End, view: InterestView) -> None:
        reason = self.nacks(view)
        target = next(
            (self.routes[view.name[:at]] for at in (*view.ends[::-1], 0) if view.name[:at] in self.routes), None
        )
        if reason is None and target is None:
            reason = lp.NACK_NO_ROUTE
        if reason is not None:
            end.deliver(lp.encode(view.wire, nackReason=reason))
            return
        waiting = self.pending.setdefault(view.name, [])
        if (end, view.canBePrefix) not in waiting:
            waiting.append((end, view.canBePrefix))
        assert target is not None
        target.deliver(lp.encode(view.wire, pitToken=next(self.tokens).to_bytes(4, "big")))

    def _data(self, view: DataView) -> None:
        for at in (0, *view.ends):
            name = view.name[:at]
            waiting = self.pending.pop(name, [])
            for end, canBePrefix in waiting:
                if canBePrefix or name == view.name:
                    end.deliver(lp.encode(view.wire, congestionMark=self.marks(view)))

    def _command(self, end: End, view: InterestView) -> None:
        interest = decodeInterest(view)
        signature = signatureOf(interest)
        assert signature is not None and signature.madeBy(DigestVerifier())
        verb = componentValue(signature.name[3]).decode()
        parameters = ControlParameters.decode(componentValue(signature.name[4]))
        assert parameters.name is not None
        self.commands.append((verb, parameters.name))
        if self.refuses == 200:
            if verb == "register":
                self.routes[parameters.name.value] = end
            else:
                self.routes.pop(parameters.name.value, None)
        response = ControlResponse.of(self.refuses, "OK" if self.refuses == 200 else "no", parameters)
        end.deliver(encodeData(interest.name, response.encode(), DigestSigner()))
