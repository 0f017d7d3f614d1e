"""
Where nodes come to a controller: the authority, who is enrolled, who is connected, who is shut out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamServerEndpoint

from hermes.control.agent.files import Files
from hermes.control.channel.admission import ADMISSION, AdmissionLimits
from hermes.control.channel.callee import Handler
from hermes.control.channel.counts import Refusals
from hermes.control.channel.credentials import CertificateChecker
from hermes.control.channel.doorway import Leadership
from hermes.control.channel.limits import DEFAULT, Limits
from hermes.control.channel.links import NodeLinks
from hermes.control.channel.perspectives import ControlRealm
from hermes.control.channel.server import CONTROL, HEARTBEAT, ControlServer
from hermes.control.enrolment.authority import openAuthority
from hermes.control.enrolment.controllercert import ControllerCertificate
from hermes.control.enrolment.exchange import ENROL, EnrolmentServer
from hermes.control.enrolment.registrar import NODE_DAYS, Registrar
from hermes.control.enrolment.revoking import RevocationList
from hermes.interfaces.store import IStore
from hermes.net.revocation import RevokedCertificates


class NodePort:
    """
    The controller's port for nodes.

    @ivar links: the nodes that are connected; complete from the start, empty while another controller leads.
    @ivar refusals: what was refused, counted by kind.
    @ivar registrar: enrols and revokes; once it was opened.
    @ivar certificate: the controller's own; once it was opened. Other ports of the controller may use it.
    """

    registrar: Registrar
    certificate: ControllerCertificate

    def __init__(
        self,
        clock: IReactorTime,
        seconds: Callable[[], float],
        store: IStore,
        files: Files,
        leadership: Callable[[], Leadership] = Leadership,
        names: Sequence[str] = (),
        operators: Callable[[str], dict[str, Handler]] | None = None,
        limits: Limits = DEFAULT,
        admission: AdmissionLimits = ADMISSION,
        heartbeat: float = HEARTBEAT,
        days: float = NODE_DAYS,
    ) -> None:
        """
        @param clock: tells time that never jumps.
        @param seconds: the time, since the epoch.
        @param store: started.
        @param files: a directory of the controller's own.
        @param leadership: whether it leads, now. When that changes, call L{leadershipChanged}.
        @param names: DNS names and addresses that the controller is reached at, for browsers.
        @param operators: what an operator may call here, by name of the operator.
        @param days: how long nodes' certificates are valid.
        """
        self.links = NodeLinks(seconds)
        self.refusals = Refusals()
        self.revoked = RevokedCertificates()
        self._clock = clock
        self._seconds = seconds
        self._store = store
        self._files = files
        self._leadership = leadership
        self._names = names
        self._operators = operators
        self._limits = limits
        self._admission = admission
        self._heartbeat = heartbeat
        self._days = days
        self._revocations = RevocationList(store, self.revoked, self.links, clock, seconds)
        self._server: ControlServer | None = None
        self._ports: list[Any] = []
        self._stopSeeing: Callable[[], None] = lambda: None

    def open(self) -> Deferred[None]:
        """
        Open the authority, or make it where there is none, and read who is shut out. Errback as the store does, with
        L{hermes.control.enrolment.errors.IdentityBroken}, with L{OSError}.
        """
        return Deferred.fromCoroutine(self._open())

    async def _open(self) -> None:
        authority = await openAuthority(self._store)
        self.certificate = ControllerCertificate(self._clock, self._seconds, authority, self._files, self._names)
        self.certificate.start()
        self.registrar = Registrar(self._store, authority, self._seconds, self._revocations.read, self._days)
        enrolment = EnrolmentServer(self.registrar, self.refusals, lambda: self._leadership().controllers)
        self._server = ControlServer(
            self._clock,
            self.certificate.credentials((CONTROL, ENROL), self.revoked),
            Portal(ControlRealm(self.links, self.registrar, self._operators), [CertificateChecker(self.registrar)]),
            self._leadership,
            self.refusals,
            {ENROL: enrolment},
            self._limits,
            self._admission,
            self._heartbeat,
        )
        self._stopSeeing = self.links.watch(lambda link: self._store.seen(link.name, link.state.seen))
        await self._revocations.start()

    def listen(self, endpoint: IStreamServerEndpoint) -> Deferred[Any]:
        """
        Take connections; may be called for several endpoints.

        @param endpoint: plain TCP: TLS is spoken here.
        @return: fires with the L{IListeningPort}; errback with L{CannotListenError}.
        """
        assert self._server is not None, "it is opened first"

        def listening(port: Any) -> Any:
            self._ports.append(port)
            return port

        return endpoint.listen(self._server).addCallback(listening)

    def leadershipChanged(self) -> None:
        """
        Where another controller leads now, nodes are sent there.
        """
        if self._server is not None and not self._leadership().leads:
            self._server.close()

    def stop(self) -> None:
        """
        Take no more connections, and close those that there are.
        """
        ports, self._ports = self._ports, []
        for port in ports:
            port.stopListening()
        self._revocations.stop()
        self._stopSeeing()
        if self._server is not None:
            self.certificate.stop()
            self._server.close()
