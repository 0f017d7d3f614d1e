"""
The controller's end of all connections: TLS, who is at the other end, and what it may do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol, IProtocolFactory, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.control.channel.admission import ADMISSION, Admission, AdmissionLimits, Visitor, sourceOf
from hermes.control.channel.broker import ControlBroker
from hermes.control.channel.counts import Refusals
from hermes.control.channel.credentials import Certificate
from hermes.control.channel.doorway import Doorway, Leadership
from hermes.control.channel.limits import DEFAULT, Limits
from hermes.errors import FlowError
from hermes.net.certificates import ServerCredentials
from hermes.net.memorytls import NestedTLS

CONTROL = b"hermes-control/1"
"""
The ALPN protocol of the channel.
"""

HEARTBEAT = 10.0
"""
Seconds after which a node says something, if only C{ping}.
"""

SILENCE = 3.0
"""
How many heartbeats may be missed.
"""


class Stranger(Protocol):
    """
    Serves a connection of another ALPN protocol: called with its transport, the handshake done, and what to call when
    it is over.
    """

    def __call__(self, transport: Entrance, done: Callable[[], None]) -> object: ...


class Entrance(NestedTLS):
    """
    TLS of one connection, from when it is accepted.
    """

    visitor: Visitor | None = None

    def __init__(self, server: ControlServer) -> None:
        super().__init__(server.credentials, server.clock)
        self.server = server
        self.timer: IDelayedCall | None = None

    def makeConnection(self, transport: Any) -> None:
        super().makeConnection(transport)
        self.pauseProducing()
        self.server.entered(self)

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        self.server.left(self)


@implementer(IProtocolFactory)
class ControlServer:
    """
    The factory of the controller's port, which is plain TCP to it.

    @ivar credentials: the controller's, with the authority as trust.
    @ivar clock: tells time that never jumps.
    @ivar refusals: what was refused, counted.
    """

    log: ClassVar[Logger] = Logger()
    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        credentials: ServerCredentials,
        portal: Portal,
        leadership: Callable[[], Leadership],
        refusals: Refusals,
        strangers: dict[bytes, Stranger],
        limits: Limits = DEFAULT,
        admission: AdmissionLimits = ADMISSION,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        """
        @param credentials: C{protocols} are L{CONTROL} and those of C{strangers}.
        @param strangers: who serves connections of other ALPN protocols, with no certificate, by protocol.
        """
        self.clock = clock
        self.credentials = credentials
        self.refusals = refusals
        self._portal = portal
        self._leadership = leadership
        self._strangers = strangers
        self._limits = limits
        self._admission = Admission(admission)
        self._times = admission
        self._heartbeat = heartbeat
        self._brokers: set[ControlBroker] = set()
        self._entrances: set[Entrance] = set()

    def doStart(self) -> None:
        pass

    def doStop(self) -> None:
        pass

    def buildProtocol(self, addr: IAddress | None) -> IProtocol | None:
        return Entrance(self)

    def close(self) -> None:
        """
        End every connection.
        """
        for broker in list(self._brokers):
            broker.close()
        for entrance in list(self._entrances):
            if entrance.visitor is not None:
                entrance.abortConnection()

    # One connection after another

    def entered(self, entrance: Entrance) -> None:
        """
        It was accepted.
        """
        self._entrances.add(entrance)
        entrance.timer = self.clock.callLater(self._times.waitTime, self._tooSlow, entrance)
        entrance.visitor = Visitor(sourceOf(entrance.getPeer()), lambda: self._begin(entrance))
        if not self._admission.enter(entrance.visitor):
            self._refuse(entrance, "full", "too many wait")

    def _begin(self, entrance: Entrance) -> None:
        assert entrance.timer is not None
        entrance.timer.reset(self._times.handshakeTime + self._times.helloTime)
        shaking: Deferred[None] = entrance.handshake(self._times.handshakeTime)
        shaking.addCallbacks(lambda _: self._shaken(entrance), self._notShaken)
        shaking.addErrback(self._broken, entrance)

    def _notShaken(self, failure: Failure) -> None:
        failure.trap(FlowError)
        # Anybody can fail a handshake.
        self.refusals.add("handshake")
        self.log.debug("TLS handshake failed: {error}", error=str(failure.value))

    def _broken(self, failure: Failure, entrance: Entrance) -> None:
        self.log.failure("failed to serve a connection", failure)
        entrance.abortConnection()

    def _shaken(self, entrance: Entrance) -> None:
        if entrance.negotiatedProtocol == CONTROL:
            self._control(entrance)
            return
        serve = self._strangers.get(entrance.negotiatedProtocol or b"")
        if serve is None:
            self._refuse(entrance, "protocol", "it speaks no protocol that is spoken here")
        else:
            serve(entrance, lambda: self._known(entrance))

    def _control(self, entrance: Entrance) -> None:
        x509 = entrance.getPeerCertificate()
        certificate = Certificate.of(None if x509 is None else x509.to_cryptography())
        if certificate is None:
            self._refuse(entrance, "certificate", "it has no certificate of a node")
            return
        doorway = Doorway(certificate, self._portal, self._leadership, self._heartbeat, self.clock)
        doorway.greeted = lambda: self._greeted(entrance, broker)
        broker = ControlBroker(False, self.clock, self.refusals, self._limits, doorway, trusted=False)
        broker.peerName = f"{certificate.kind} {certificate.name}"
        doorway.broker = broker
        self._brokers.add(broker)
        broker.ready.addErrback(lambda _: None)

        def lost(reason: BaseException) -> BaseException:
            self._brokers.discard(broker)
            return reason

        broker.lost.addCallback(lost)
        entrance.attach(broker)

    def _greeted(self, entrance: Entrance, broker: ControlBroker) -> None:
        self._known(entrance)
        entrance.timer = self.clock.callLater(self._heartbeat, self._listen, entrance, broker)

    def _listen(self, entrance: Entrance, broker: ControlBroker) -> None:
        silent = self.clock.seconds() - broker.heard
        if silent > SILENCE * self._heartbeat:
            self.log.info("{peer} is silent", peer=broker.peerName)
            entrance.timer = None
            broker.cut()
        else:
            entrance.timer = self.clock.callLater(self._heartbeat, self._listen, entrance, broker)

    def _tooSlow(self, entrance: Entrance) -> None:
        entrance.timer = None
        self._refuse(entrance, "slow", "it took too long to say who it is")

    def _refuse(self, entrance: Entrance, kind: str, text: str) -> None:
        self.refusals.add(kind)
        self.log.debug("{peer} was turned away: {text}", peer=entrance.getPeer(), text=text)
        entrance.abortConnection()

    def _known(self, entrance: Entrance) -> None:
        timer, entrance.timer = entrance.timer, None
        if timer is not None and timer.active():
            timer.cancel()
        visitor, entrance.visitor = entrance.visitor, None
        if visitor is not None:
            self._admission.leave(visitor)

    def left(self, entrance: Entrance) -> None:
        """
        It is closed.
        """
        self._entrances.discard(entrance)
        self._known(entrance)
