"""
The values that pass between the parts of the control plane: the controller, its store, the channel, the agents.

Immutable, and made of nothing but numbers, text, booleans, tuples and mappings of these: cattrs turns each into what
JSON and Perspective Broker carry, and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Literal, TypeAlias

from attrs import field, frozen

Phase: TypeAlias = Literal["preparing", "trial", "committed", "aborted"]
"""
How far a version has come. C{preparing} and C{trial} are undecided; the other two are for ever.
"""

UNDECIDED: tuple[Phase, ...] = ("preparing", "trial")

Step: TypeAlias = Literal[
    "validate",
    "record",
    "prepare",
    "trial",
    "commit",
    "probe",
    "decide",
    "confirm",
    "abort",
    "rollback",
    "recover",
    "catchup",
]
"""
The steps of a transaction, as they are told to whoever waits for it, and as a reason says where it went wrong:

  - C{validate}: the document is read, compiled and tested; nothing was stored.
  - C{record}: the version gets its number, C{preparing}.
  - C{prepare}: affected nodes build it beside what they run.
  - C{trial}: all are ready; the record says C{trial}.
  - C{commit}: they swap, on trial.
  - C{probe}: the trial period.
  - C{decide}: the record turns to C{committed}: the decision.
  - C{confirm}: the nodes make it their last good one.
  - C{abort}: the record turns to C{aborted}.
  - C{rollback}: the nodes go back.
  - C{recover}: a leader finds a transaction that another one left.
  - C{catchup}: one node is given the version that is committed.
"""

CONTROLLER = "(controller)"
"""
How a reason names the controller itself: as no node can be called.
"""


def digestOf(config: bytes) -> str:
    """
    The digest of one node's configuration: SHA-256 of its bytes, in hexadecimal. Two nodes, or one node and the
    controller, mean the same configuration where the digests are equal, whatever the numbers of the versions.
    """
    return sha256(config).hexdigest()


@frozen
class NodeReason:
    """
    Why a version was refused or taken back.

    @ivar node: who says so, or L{CONTROLLER}.
    @ivar text: a sentence for the operator; it may have several lines.
    @ivar step: in which step.
    """

    node: str
    text: str
    step: Step = "prepare"

    def __str__(self) -> str:
        return f"{self.node}: {self.text}"


@frozen
class VersionRecord:
    """
    One version of the overlay document, as the store keeps it.

    @ivar number: given by the store when the version is appended, from 1; 0 before. Later ones are greater.
    @ivar parent: the version that was committed when this one was made and that it replaces, or L{None} for the first.
    @ivar author: who applied it.
    @ivar time: when, in seconds since the epoch, by the clock of the controller that made it. Nothing is decided by it.
    @ivar comment: what the author says about it.
    @ivar document: the overlay document, YAML.
    @ivar phase: how far it has come.
    @ivar reasons: why it was aborted.
    @ivar measurements: what of the network's measurements it was compiled with, as the compiler writes it; empty where
        with none. The same document and measurements compile to the same bytes.
    @ivar digests: L{digestOf} each node's configuration in this version, by the node's name. Whether a node is up to
        date is judged by it.
    """

    number: int
    parent: int | None
    author: str
    time: float
    comment: str
    document: str
    phase: Phase = "preparing"
    reasons: tuple[NodeReason, ...] = ()
    measurements: str = ""
    digests: Mapping[str, str] = field(factory=dict)

    @property
    def decided(self) -> bool:
        """
        Whether it is committed or aborted.
        """
        return self.phase not in UNDECIDED


@frozen
class NodeState:
    """
    What a node says of itself, and the controller of its connection.

    @ivar name: the node's name in the overlay.
    @ivar connected: whether there is a connection to it now. Of a node that is not, the rest is what was last known.
    @ivar runs: the version whose configuration it runs, or L{None} where it has none.
    @ivar digest: L{digestOf} what it runs; empty where it runs nothing.
    @ivar trial: whether it runs that on trial: it returns to C{confirmed} by itself unless it is told to stay.
    @ivar confirmed: its last good version: what it returns to, and what it starts from. It differs from C{runs} on
        trial only.
    @ivar prepared: the version that it has prepared, or L{None}.
    @ivar problem: what is wrong with it, for the operator: why it can't take what is committed, a full disk, a listener
        that is down; or L{None}.
    @ivar software: the version of Hermes that it runs.
    @ivar seen: when it was last heard of, in seconds since the epoch, by the controller's clock; 0 for never.
    @ivar draining: whether it ends, and opens nothing new.
    """

    name: str
    connected: bool = False
    runs: int | None = None
    digest: str = ""
    trial: bool = False
    prepared: int | None = None
    problem: str | None = None
    software: str = ""
    seen: float = 0.0
    confirmed: int | None = None
    draining: bool = False


@frozen
class Answer:
    """
    What a node answers to a step of a transaction.

    @ivar ready: whether it did what was asked.
    @ivar reasons: where not, why: sentences for the operator.
    """

    ready: bool
    reasons: tuple[str, ...] = ()

    @classmethod
    def refused(cls, *reasons: str) -> Answer:
        """
        A refusal.
        """
        return cls(False, reasons)


READY = Answer(True)


@frozen
class Probe:
    """
    Something that a node is to try, through its own routes, as flows of its users would.

    @ivar name: how the operator knows it.
    @ivar target: C{host:port}.
    @ivar protocol: C{tcp}: a stream can be opened; C{udp}: so can a flow of datagrams, which says nothing of the target
        itself; C{http}: a request is answered, by any status below 500.
    @ivar listener: as what it comes in, for routes that look at that; empty for none of the node's listeners.
    @ivar user: who asks; empty for nobody.
    @ivar path: of C{http}, the path that is asked for.
    @ivar expect: whether it should come through. Where not, it must be refused by a route: a target that is down proves
        nothing.
    @ivar timeout: seconds that it may take.
    """

    name: str
    target: str
    protocol: Literal["tcp", "udp", "http"] = "tcp"
    user: str = ""
    path: str = "/"
    expect: bool = True
    timeout: float = 5.0
    listener: str = ""


@frozen
class ProbeResult:
    """
    What came of a L{Probe}.

    @ivar name: the probe's.
    @ivar passed: whether it went as expected.
    @ivar text: what happened, for the operator.
    @ivar seconds: how long it took.
    """

    name: str
    passed: bool
    text: str = ""
    seconds: float = 0.0


@frozen
class Health:
    """
    How a node does; two of them, before a change and after, are compared.

    @ivar opened: flows and exchanges that were opened since the node's process started.
    @ivar failed: those of them that could not be, for another reason than that a route denies them.
    @ivar problem: what is wrong right now, or L{None}.
    @ivar runs: the version that it runs, or L{None}.
    """

    opened: int = 0
    failed: int = 0
    problem: str | None = None
    runs: int | None = None


DOWN: Final = 1_000_000
"""
What a link costs that is down: more than any other, so that it is taken where there is no other way at all.
"""


@frozen
class LinkFigure:
    """
    What a node has measured of its link to another one.

    @ivar to: the other node's name.
    @ivar roundTrip: in seconds, as HTTP/2 measures it; L{None} where nothing is answered.
    @ivar loss: the share of TCP's segments that were lost, 0 to 1.
    @ivar up: whether the other node can be reached.
    """

    to: str
    roundTrip: float | None = None
    loss: float = 0.0
    up: bool = True


@frozen
class Settings:
    """
    How a change is made.

    @ivar trial: seconds that nodes run it before it is decided.
    @ivar decide: seconds after which a node that hears no more returns by itself; more than C{trial}.
    @ivar answer: seconds that a node may take for each step.
    @ivar failing: the share of a node's flows, 0 to 1, by which more may fail during the trial than did before.
    @ivar reroute: whether the controller makes a change by itself where measurements say that other ways are better.
    @ivar rerouteAfter: seconds from one change to such a one, at least.
    """

    trial: float = 10.0
    decide: float = 30.0
    answer: float = 15.0
    failing: float = 0.5
    reroute: bool = True
    rerouteAfter: float = 60.0


@frozen
class Progress:
    """
    How a change goes on.

    @ivar step: what it is at.
    @ivar node: the node that this is about; empty for all.
    @ivar text: what there is to say.
    @ivar done: how many nodes have done this step.
    @ivar total: of how many.
    """

    step: Step
    node: str = ""
    text: str = ""
    done: int = 0
    total: int = 0


Result: TypeAlias = Literal["committed", "aborted", "refused", "unchanged", "unknown"]
"""
What came of a change:

  - C{committed}: it is the overlay's version.
  - C{aborted}: it was tried, and taken back.
  - C{refused}: it was not tried; there is no version of it.
  - C{unchanged}: the overlay is at it already.
  - C{unknown}: this controller does not lead any more; the one that does decides.
"""


@frozen
class Outcome:
    """
    What came of a change.

    @ivar result: in a word.
    @ivar number: the version's number, or L{None} where it got none.
    @ivar reasons: why it was refused or aborted.
    @ivar changed: the nodes that took part, by name.
    @ivar later: the nodes that it concerns and that were not there: they get it when they come.
    @ivar notes: what else there is to say: a node that runs it and could not write it down, for instance.
    @ivar seconds: how long it took.
    """

    result: Result
    number: int | None = None
    reasons: tuple[NodeReason, ...] = ()
    changed: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    notes: tuple[NodeReason, ...] = ()
    seconds: float = 0.0


@frozen
class NodeEntry:
    """
    A node, as the store keeps it.

    @ivar name: its name in the overlay.
    @ivar serial: the serial number of its newest certificate, in hexadecimal; empty where it has none.
    @ivar enrolledAt: when it enrolled, in seconds since the epoch.
    @ivar expires: when that certificate does.
    @ivar revoked: whether the node was shut out.
    @ivar lastSeen: when it was last heard of, by the clock of the controller that did; 0 for never.
    @ivar earlier: certificates before the newest that may still be used: serial number, and when it expires.
    @ivar software: the version of Hermes that it had when it was enrolled or renewed its certificate.
    """

    name: str
    serial: str = ""
    enrolledAt: float = 0.0
    expires: float = 0.0
    revoked: bool = False
    lastSeen: float = 0.0
    earlier: Mapping[str, float] = field(factory=dict)
    software: str = ""


@frozen
class AuditEntry:
    """
    Who changed what.

    @ivar time: when, in seconds since the epoch, by the clock of the controller.
    @ivar actor: who: an operator, a node, or L{CONTROLLER}.
    @ivar action: what was done, in a word: C{apply}, C{rollback}, C{enrol}, C{revoke}.
    @ivar subject: what it was done to: a version, a node.
    @ivar text: what came of it.
    @ivar origin: where it was asked from: an address, or empty.
    @ivar number: given by the store, from 1; 0 before.
    """

    time: float
    actor: str
    action: str
    subject: str = ""
    text: str = ""
    origin: str = ""
    number: int = 0
