"""
The controller's side of enrolment: who may join, who has, and who may not any more.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from attrs import evolve, frozen
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from hermes.control.channel.credentials import IDirectory
from hermes.control.channel.errors import NotAllowed, Refused
from hermes.control.channel.methods import Renewed
from hermes.control.enrolment.authority import Authority, Issued
from hermes.control.enrolment.errors import BadRequest, BadToken, EnrolmentRefused
from hermes.control.enrolment.requests import requestedKey
from hermes.control.enrolment.tokens import Token
from hermes.control.errors import UnknownNode
from hermes.control.values import AuditEntry, NodeEntry
from hermes.interfaces.store import IStore
from hermes.net.authority import checkNodeName

NODE_DAYS = 90.0
"""
How long a node's certificate is valid. It is renewed when two thirds of that have passed: so a controller may be away
for a month.
"""

TOKEN_SECONDS = 3600.0
"""
How long a token is good.
"""


@frozen
class Enrolled:
    """
    What a node gets that joins.

    @ivar node: its name.
    @ivar certificate: PEM.
    @ivar trust: what it trusts from now on, PEM.
    """

    node: str
    certificate: str
    trust: str


@implementer(IDirectory)
class Registrar:
    """
    See the module. Every Deferred may errback as the store's do.

    @ivar authority: signs.
    """

    log = Logger()

    def __init__(
        self,
        store: IStore,
        authority: Authority,
        seconds: Callable[[], float],
        changed: Callable[[], object] = lambda: None,
        days: float = NODE_DAYS,
    ) -> None:
        """
        @param seconds: the time, since the epoch.
        @param changed: called when somebody was shut out: connections are to be closed now.
        @param days: how long nodes' certificates are valid.
        """
        self.authority = authority
        self.changed = changed
        self._store = store
        self._seconds = seconds
        self._days = days

    # Joining

    def enrol(self, node: str, lifetime: float = TOKEN_SECONDS) -> Deferred[str]:
        """
        A token by which one node can join, once. A node that has joined already can so be set up anew: what it had is
        not valid any more then. The token is not stored: it is lost where nobody keeps it.

        @param node: its name.
        @param lifetime: in seconds.
        @return: errback with L{EnrolmentRefused} where the name can't be a node's.
        """
        return Deferred.fromCoroutine(self._enrol(node.lower(), lifetime))

    async def _enrol(self, node: str, lifetime: float) -> str:
        try:
            checkNodeName(node)
        except ValueError as error:
            raise EnrolmentRefused(str(error)) from error
        token = Token.make(self.authority.fingerprint)
        await self._store.putToken(token.hashed, node, self._seconds() + lifetime)
        return token.toText()

    def join(self, token: str, request: str, origin: str, software: str = "") -> Deferred[Enrolled]:
        """
        Take a token, and sign a certificate for the node that it was made for.

        @param token: as text.
        @param request: PKCS #10, PEM.
        @param origin: where it came from, for the audit log.
        @return: errback with L{EnrolmentRefused}, the same for a token that was taken, has expired or never was;
            L{BadRequest}, and then the token is still good.
        """
        return Deferred.fromCoroutine(self._join(token, request, origin, software))

    async def _join(self, text: str, request: str, origin: str, software: str) -> Enrolled:
        key = requestedKey(request)
        try:
            token = Token.fromText(text)
        except BadToken as error:
            raise EnrolmentRefused("the token is not valid") from error
        now = self._seconds()
        node = await self._store.takeToken(token.hashed, now)
        if node is None:
            raise EnrolmentRefused("the token is not valid: it has expired, was used before, or never was")
        issued = self._issue(node, key, now)

        def enrolled(entry: NodeEntry | None) -> NodeEntry:
            seen = 0.0 if entry is None else entry.lastSeen
            return NodeEntry(node, issued.serial, now, issued.expires, lastSeen=seen, software=software)

        if await self._revokeAll(node, enrolled):
            self.changed()
        said = f"certificate {issued.serial}"
        await self._store.audit(AuditEntry(now, node, "join", node, said, origin))
        self.log.info("node {node} has enrolled from {origin}", node=node, origin=origin)
        return Enrolled(node, issued.text, self.authority.trust)

    def _issue(self, node: str, key: CertificatePublicKeyTypes, now: float) -> Issued:
        return self.authority.node(node, key, self._days, datetime.fromtimestamp(now, UTC))

    def _valid(self, entry: NodeEntry | None, now: float) -> dict[str, float]:
        """
        The certificates of a node that have not expired, with when they do.
        """
        if entry is None:
            return {}
        found = {**entry.earlier, entry.serial: entry.expires}
        return {serial: expires for serial, expires in found.items() if serial and expires > now}

    # Staying

    def renew(self, node: str, request: str) -> Deferred[Renewed]:
        """
        Sign one more certificate for a node that is connected. Those that it has stay valid. Errback with
        L{hermes.control.channel.errors.CallError}.
        """
        return Deferred.fromCoroutine(self._renew(node, request))

    async def _renew(self, node: str, request: str) -> Renewed:
        try:
            key = requestedKey(request)
        except BadRequest as error:
            raise Refused(str(error)) from error
        now = self._seconds()
        issued = self._issue(node, key, now)

        def renew(entry: NodeEntry | None) -> NodeEntry | None:
            if entry is None or entry.revoked:
                return None
            return evolve(
                entry, serial=issued.serial, expires=issued.expires, earlier=self._valid(entry, now), revoked=False
            )

        entry = await self._store.changeNode(node, renew)
        if entry is None or entry.serial != issued.serial:
            raise NotAllowed(f"node {node} is not enrolled, or not any more")
        self.log.info("node {node} has renewed its certificate", node=node)
        return Renewed(issued.text, self.authority.trust)

    def mayConnect(self, kind: str, name: str, serial: str) -> Deferred[bool]:
        return Deferred.fromCoroutine(self._mayConnect(kind, name, serial))

    async def _mayConnect(self, kind: str, name: str, serial: str) -> bool:
        if kind != "node":
            return serial not in await self._store.revocations(self._seconds())
        entry = await self._store.node(name)
        return entry is not None and not entry.revoked and (serial == entry.serial or serial in entry.earlier)

    # Leaving

    def revoke(self, node: str) -> Deferred[None]:
        """
        Shut a node out: its certificates and its tokens are not valid any more. It may join again with a new token.

        @raise UnknownNode: (by the Deferred) there is no such node.
        """
        return Deferred.fromCoroutine(self._revoke(node.lower()))

    async def _revoke(self, node: str) -> None:
        def shutOut(entry: NodeEntry | None) -> NodeEntry | None:
            return None if entry is None else evolve(entry, revoked=True)

        await self._store.dropTokens(node)
        if await self._store.node(node) is None:
            raise UnknownNode(f"there is no node {node}")
        await self._revokeAll(node, shutOut)
        self.changed()
        self.log.warn("node {node} is shut out", node=node)

    async def _revokeAll(self, node: str, change: Callable[[NodeEntry | None], NodeEntry | None]) -> bool:
        """
        Revoke what certificates a node has and change its entry: in this order, so that a controller that is killed
        between leaves none behind; and again, for one that was renewed between.

        @return: whether there were any.
        """
        before: list[NodeEntry | None] = [await self._store.node(node)]

        def remember(entry: NodeEntry | None) -> NodeEntry | None:
            before[1:] = [entry]
            return change(entry)

        revoked: dict[str, float] = {}
        for step in range(2):
            valid = self._valid(before[step], self._seconds())
            if valid.keys() - revoked.keys():
                await self._store.putRevocations(valid)
                revoked.update(valid)
            if step == 0:
                await self._store.changeNode(node, remember)
        return bool(revoked)
