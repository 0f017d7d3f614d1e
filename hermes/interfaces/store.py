"""
Where a controller keeps what it must not lose: the versions of the overlay document and which is committed, nodes and
their certificates, tokens, secrets, who changed what; and which of several controllers leads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from hermes.control.values import AuditEntry, NodeEntry, NodeReason, Phase, VersionRecord

Watched: TypeAlias = Literal["versions", "nodes", "leader"]
"""
What a change can be about:

  - C{versions}: a version was appended, or its phase has changed, and with it maybe which one is committed.
  - C{nodes}: a node was put or removed, or certificates were revoked. When nodes were last seen is no change.
  - C{leader}: another controller leads, or none.
"""


class ILeadership(Interface):
    """
    This controller leads, until C{lost} fires. No two controllers lead at the same time, as far as they can know: one
    that is cut off from the store knows that it does not lead any more before another one may.

    What a leader writes (L{IStore.appendVersion}, L{IStore.setPhase}) is refused by the store itself once it leads no
    more, whatever the leader believes.
    """

    identity = Attribute("C{str}: as it was given to L{IStore.campaign}.")
    leads = Attribute("C{bool}: whether it leads, now. It turns false before C{lost} fires.")
    lost = Attribute(
        "C{Deferred[None]}: fires once, with L{None}, when it leads no more: cut off, replaced, resigned or closed. "
        "Whoever adds a callback returns what it was given."
    )

    def resign() -> Deferred[None]:
        """
        Lead no more; C{lost} fires at once. The result fires when the store knows, so that another controller may lead;
        also where it can't be told: then another one leads when the time is up.
        """


class IStore(Interface):
    """
    A store. Every Deferred fires with one of these where it does not fire with a result
    (L{hermes.control.store.errors}):

      - C{StoreUnavailable}: no answer. Whether what was asked is done is not known.
      - C{StoreFull}: there is no room; nothing was changed.
      - C{StoreCorrupt}: what is stored can't be read; the text names the key. Nothing was changed.
      - C{ValueTooLarge}: that much is not stored; nothing was changed.
      - C{NotLeading} (L{hermes.control.errors}): only of what a leader writes.

    Each write is atomic, and durable when its Deferred fires.
    """

    def start() -> Deferred[None]:
        """
        Open it, make it where there is none, bring an older form of it to the present one. Called once, before all
        else. Where it fails the store is closed, and what was there before is there unchanged.

        @raise hermes.control.store.errors.StoreInUse: (by the Deferred) another process has it.
        @raise hermes.control.store.errors.StoreTooNew: (by the Deferred) a newer Hermes has made it.
        """

    def close() -> Deferred[None]:
        """
        Lead no more, write what waits, end the watches. Called once; nothing is called after it.
        """

    # Versions

    def appendVersion(record: VersionRecord) -> Deferred[int]:
        """
        Add a version, in its phase C{preparing}. The leader's.

        @param record: its C{number} is not looked at.
        @return: its number, greater than all before.
        @raise ValueError: it is in another phase.
        """

    def version(number: int) -> Deferred[VersionRecord | None]:
        """
        One version, or L{None} where there is none of this number.
        """

    def versions(limit: int, before: int | None = None, whole: bool = True) -> Deferred[Sequence[VersionRecord]]:
        """
        Versions, the newest first.

        @param limit: at most so many.
        @param before: only those whose number is less.
        @param whole: whether C{document}, C{measurements} and C{digests} are wanted too; where not, they are empty. To
            list many versions ask for C{whole=False}: a document can have megabytes.
        """

    def current() -> Deferred[int | None]:
        """
        The number of the version that is committed, or L{None} before the first.
        """

    def setPhase(number: int, expected: Phase, phase: Phase, reasons: Sequence[NodeReason] = ()) -> Deferred[bool]:
        """
        Turn a version from one phase to another: compare and set. C{committed} makes it the current one in the same
        write, and needs its C{parent} to be the current one until then. The leader's.

        @return: whether it was done. L{False}: there is no such version, it is in another phase than C{expected}, or
            its parent is not what is committed. Where the answer to a write was lost on its way and this store has
            asked again, L{True} is for that write.
        @raise ValueError: C{expected} is decided: that is for ever; or C{phase} is C{preparing}.
        """

    # Nodes

    def putNode(entry: NodeEntry) -> Deferred[None]:
        """
        Store a node, in place of what was stored under its name. Where two controllers may do so at the same time, see
        C{changeNode}.

        @param entry: the later of its C{lastSeen} and the one that is known stays.
        """

    def changeNode(name: str, change: Callable[[NodeEntry | None], NodeEntry | None]) -> Deferred[NodeEntry | None]:
        """
        Read a node, and store what C{change} makes of it, with nobody between.

        @param change: called with the node, or L{None} where there is none; returns what to store, or L{None} to leave
            all as it is. It may be called several times, in any thread, and does nothing else. What it raises is what
            the Deferred fires with.
        @return: what is stored.
        """

    def node(name: str) -> Deferred[NodeEntry | None]:
        """
        One node, or L{None}.
        """

    def nodes() -> Deferred[Sequence[NodeEntry]]:
        """
        All nodes, sorted by name. One that can't be read is left out, and logged with its key.
        """

    def removeNode(name: str) -> Deferred[None]:
        """
        Forget a node. What is revoked stays revoked.
        """

    def seen(name: str, when: float) -> None:
        """
        A node was heard of. Costs nothing: it is written with others, after a while, and lost where this process is
        killed before. Of a node that is not stored it may be forgotten.

        @param when: seconds since the epoch.
        """

    def putRevocations(serials: Mapping[str, float]) -> Deferred[None]:
        """
        Certificates that are not valid any more.

        @param serials: each by its serial number in hexadecimal, with the time at which it would have expired, in
            seconds since the epoch: after that it need not be remembered.
        """

    def revocations(now: float) -> Deferred[Mapping[str, float]]:
        """
        All that were put and have not expired at C{now}, in seconds since the epoch.
        """

    # Tokens, secrets, the audit log

    def putToken(hashed: str, node: str, expires: float) -> Deferred[None]:
        """
        A token by which one node can enrol, once.

        @param hashed: a hash of it: the token itself is not stored.
        @param expires: seconds since the epoch.
        """

    def takeToken(hashed: str, now: float) -> Deferred[str | None]:
        """
        Use a token up. Of those who take the same one at the same time, one gets it.

        @return: the name of the node, or L{None} where there is none, it was taken before, or has expired at C{now}.
        """

    def dropTokens(node: str) -> Deferred[int]:
        """
        Forget every token of a node that was not taken.

        @return: how many there were.
        """

    def secret(name: str) -> Deferred[bytes | None]:
        """
        A secret, or L{None}.
        """

    def putSecret(name: str, value: bytes, expectedAbsent: bool = True) -> Deferred[bool]:
        """
        Keep a secret.

        @param expectedAbsent: only where there is none of this name, so that of several controllers that make the
            authority one has made it, and the others read it.
        @return: whether it was stored.
        """

    def audit(entry: AuditEntry) -> Deferred[int]:
        """
        Add to the log of who changed what.

        @param entry: its C{number} is not looked at.
        @return: its number, greater than all before.
        """

    def audits(limit: int, before: int | None = None) -> Deferred[Sequence[AuditEntry]]:
        """
        The log, the newest first, at most C{limit}, only those whose number is less than C{before}. An entry that
        can't be read says so in its C{text}.
        """

    # Changes, and who leads

    def watch(callback: Callable[[], object], what: Watched = "versions") -> Callable[[], None]:
        """
        Call C{callback} after each change, whoever made it: to read again what it needs. Several changes may be told
        at once, and a change may be told that none was; none is left out, also where the connection to the store was
        lost between. It is not called at once, nor within a call to the store. The result ends it.
        """

    def campaign(identity: str) -> Deferred[ILeadership]:
        """
        Wait until this controller leads.

        @param identity: who it is, for the others and the operator: where it can be reached.
        @return: fires with an L{ILeadership} when it does, however long that takes, also where the store can't be
            reached meanwhile; fails only where waiting is of no use. To wait no more, cancel it.
        """

    def leader() -> Deferred[str | None]:
        """
        The C{identity} of the controller that leads, or L{None}.
        """
