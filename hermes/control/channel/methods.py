"""
The methods that cross the channel: what each takes and answers, in the first version of the protocol.

A method's arguments are the fields of a class; on the wire they are keyword arguments, so that one may be added later
and an older peer passes it over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from hermes.control.channel.conversion import Plain
from hermes.control.values import Answer, Health, LinkFigure, NodeState, Probe, ProbeResult

VERSIONS: tuple[int, ...] = (1,)
"""
The versions of the protocol that are spoken here. The highest that both ends speak is used.
"""


@frozen
class Nothing:
    """
    No arguments, or no result.
    """


# What a node calls: C{root}, then its perspective.


@frozen
class Hello:
    """
    C{hello} of the root object, the first call of a connection. Its one object is the node's agent.

    @ivar versions: which the node speaks.
    @ivar software: the version of Hermes, for the operator.
    @ivar state: the node's; an operator has none.
    """

    versions: tuple[int, ...]
    state: NodeState | None = None
    software: str = ""


@frozen
class Welcome:
    """
    What C{hello} answers, after the perspective.

    @ivar version: the version of the protocol to use; 0 with C{redirect}.
    @ivar software: the controller's.
    @ivar heartbeat: seconds after which the node should say something.
    @ivar controllers: addresses of all controllers, C{HOST:PORT}; may be empty.
    @ivar redirect: whether this controller does not lead: there is no perspective then, and the node goes on to
        another.
    @ivar leader: with C{redirect}: the address of the one that does, where it is known.
    """

    version: int
    software: str = ""
    heartbeat: float = 10.0
    controllers: tuple[str, ...] = ()
    redirect: bool = False
    leader: str = ""


@frozen
class Report:
    """
    C{state}: the node's state has changed.
    """

    state: NodeState


@frozen
class Events:
    """
    C{events}: what the node has seen since it last told.

    @ivar measurements: of its links to other nodes. They are its own, whomever it names: the other end of each is the
        node that tells.
    @ivar refusals: what its routes refused lately.
    @ivar counters: how much it carried.
    """

    measurements: tuple[LinkFigure, ...] = ()
    refusals: tuple[Plain, ...] = ()
    counters: Plain = field(factory=dict)


@frozen
class Renew:
    """
    C{renew}: sign a certificate for the node that calls.

    @ivar request: PKCS #10, PEM.
    """

    request: str


@frozen
class Renewed:
    """
    @ivar certificate: PEM, the node's.
    @ivar trust: PEM, the certificates of the authority, old and new, that the node is to trust.
    """

    certificate: str
    trust: str


# What the controller calls: the node's agent.


@frozen
class Prepare:
    """
    See L{hermes.interfaces.control.INodeCalls}, as for all that follow.
    """

    version: int
    base: int | None
    config: bytes
    digest: str
    decide: float


@frozen
class Version:
    """
    C{commit}, C{confirm}, C{rollback}.
    """

    version: int


@frozen
class Drain:
    """
    C{drain}.
    """

    timeout: float


@frozen
class Logs:
    """
    C{logs}.
    """

    count: int


@frozen
class Probes:
    """
    C{probe}.
    """

    probes: tuple[Probe, ...]


@frozen
class Revoked:
    """
    C{revoked}.
    """

    serials: tuple[str, ...]


@frozen
class Method:
    """
    What a method takes and answers.

    @ivar takes: its arguments.
    @ivar gives: the type of its result.
    @ivar timeout: seconds that its answer may take, or L{None} for the limits' own.
    """

    takes: type[Any]
    gives: Any
    timeout: float | None = None


AGENT: Mapping[str, Method] = {
    "prepare": Method(Prepare, Answer, 120.0),
    "commit": Method(Version, Answer, 120.0),
    "confirm": Method(Version, Answer, 120.0),
    "rollback": Method(Version, Answer, 120.0),
    "drain": Method(Drain, bool),
    "status": Method(Nothing, Plain),
    "health": Method(Nothing, Health),
    "logs": Method(Logs, tuple[str, ...]),
    "probe": Method(Probes, tuple[ProbeResult, ...]),
    "revoked": Method(Revoked, None),
}
"""
What the controller calls.
"""

NODE: Mapping[str, Method] = {
    "state": Method(Report, None),
    "events": Method(Events, None),
    "renew": Method(Renew, Renewed),
    "ping": Method(Nothing, None),
}
"""
What a node calls of its perspective.
"""
