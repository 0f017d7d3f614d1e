"""
The keys of a listener of type C{ndn}.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import ge, optional

from hermes.config.problems import Misfit, nearest
from hermes.config.types import FaceLocator, Name, NDNName, Seconds, Size
from hermes.ndn.face.link import LEAST_MTU
from hermes.ndn.face.table import MAX_FACES
from hermes.ndn.face.udp import IDLE, MAX_PEERS
from hermes.ndn.forwarder.admission import CAPACITY, LEAST_CAPACITY
from hermes.ndn.forwarder.checking import checkStrategy
from hermes.ndn.forwarder.strategychoice import installedStrategies
from hermes.ndn.management.options import ManagementOptions
from hermes.ndn.packet.name import Name as PacketName

STORE = Size(64 << 20)
PIT = Size(CAPACITY)


def _positive(instance: object, attribute: Any, value: float) -> None:
    if value <= 0:
        raise Misfit(f"{attribute.name} is more than nothing")


def _checkPIT(instance: object, attribute: Any, value: int) -> None:
    if value < LEAST_CAPACITY:
        raise Misfit(f"{attribute.name} is at least {LEAST_CAPACITY >> 10}KiB")


def _checkName(name: str, *below: str | int) -> PacketName:
    try:
        return PacketName.fromText(name)
    except ValueError as error:
        raise Misfit(str(error), below=below) from None


@frozen
class FaceOptions:
    """
    A face to somebody else.

    @ivar to: where it leads.
    @ivar direct: whether it goes there straight, as an upstream's endpoint does; else it is a flow, and the node's
        routes say whether it may, and by which way.
    @ivar persistency: C{permanent}: its link is opened again for ever; C{persistent}: the face ends, until the
        configuration is loaded again, once its link was down for five minutes.
    @ivar mtu: the largest packet in bytes that is sent in one piece, for C{udp:}. Where not given: in a tunnel 8800,
        and so all of them; with C{direct} what the way there takes, as far as the kernel knows: 1472 over Ethernet.
    @ivar reliability: whether packets that get lost on the link are sent again. A face of ours at the other end, that
        this one makes there, follows; of others both ends must be told.
    @ivar congestionMarks: whether packets are marked while those before them can't be sent.
    @ivar cost: of the link, for the prefixes of C{announce}.
    """

    to: FaceLocator
    direct: bool = False
    persistency: Literal["permanent", "persistent"] = "permanent"
    mtu: int | None = field(default=None, validator=optional(ge(LEAST_MTU)))
    reliability: bool = False
    congestionMarks: bool = True
    cost: int = field(default=1, validator=ge(1))


@frozen
class PrefixOptions:
    """
    A route of the forwarder.

    @ivar prefix: the names that it is for: this one and all that begin with it.
    @ivar face: the face that it leads to; or an interface of C{multicast}: to the neighbours there.
    @ivar cost: the way with the lowest is best.
    @ivar announce: whether neighbours (C{announce}) hear of it, as they do of what programs register.
    """

    prefix: NDNName
    face: Name
    cost: int = field(default=0, validator=ge(0))
    announce: bool = False

    def __attrs_post_init__(self) -> None:
        _checkName(self.prefix, "prefix")


@frozen
class NDNOptions:
    """
    @ivar bind: where faces are accepted: C{unix:PATH}, or C{udp:}, C{tcp:} or C{ws:} and C{HOST:PORT}. Empty: only what
        routes send here.
    @ivar multicast: network interfaces on which the groups of NDN neighbours (224.0.23.170 and ff02::1234) are joined.
    @ivar store: how much the Content Store holds.
    @ivar cache: an assisting component of type C{cache}: Data is kept in its store, beside responses of HTTP and within
        the same bound, and C{store} is of no account.
    @ivar keepsUnsolicited: whether Data that nobody has asked for is kept, too, where a program on this host sends it.
    @ivar pitCapacity: how much memory pending Interests may take; faces share it evenly once it is full.
    @ivar regions: the names of the networks that this node is in: an Interest with a forwarding hint that leads to one
        of them, or to a prefix of one, has arrived there and goes on by its own name.
    @ivar faces: faces to others, by name.
    @ivar prefixes: which names lead to which of them.
    @ivar strategies: how next hops are chosen, by prefix: the name of a strategy.
    @ivar announce: the faces that lead to other nodes like this one, which tell each other of the prefixes that
        programs register.
    @ivar neighbours: the nodes that do so through faces of their own making, which routes send here; their names as
        their certificates have them.
    @ivar register: the faces that lead to an NFD, or whatever else knows its protocol: prefixes are registered there.
    @ivar management: who may manage the forwarder.
    @ivar mtu: the largest packet in bytes that is sent in one piece to those who come by UDP; 8800, and so all of them,
        where not given: IP fragments them where it must. To C{multicast} it is 1400 then.
    @ivar idle: how long after their last packet those who come by UDP have a face.
    @ivar maxPeers: how many of them may have one, at each address.
    @ivar maxFaces: how many faces there may be. A sixteenth of them is for programs of this host.
    @ivar origins: the origins whose pages may connect to C{ws:} addresses, such as C{https://app.example}; all, where
        not given.
    """

    bind: tuple[FaceLocator, ...] = ()
    multicast: tuple[str, ...] = ()
    store: Size = STORE
    cache: Name | None = None
    keepsUnsolicited: bool = False
    pitCapacity: Size = field(default=PIT, validator=_checkPIT)
    regions: tuple[NDNName, ...] = ()
    faces: dict[Name, FaceOptions] = field(factory=dict)
    prefixes: tuple[PrefixOptions, ...] = ()
    strategies: dict[NDNName, str] = field(factory=dict)
    announce: tuple[Name, ...] = ()
    neighbours: tuple[Name, ...] = ()
    register: tuple[Name, ...] = ()
    management: ManagementOptions = field(factory=ManagementOptions)
    mtu: int | None = field(default=None, validator=optional(ge(LEAST_MTU)))
    idle: Seconds = field(default=Seconds(IDLE), validator=_positive)
    maxPeers: int = field(default=MAX_PEERS, validator=ge(1))
    maxFaces: int = field(default=MAX_FACES, validator=ge(1))
    origins: tuple[str, ...] | None = None

    def __attrs_post_init__(self) -> None:
        for number, prefix in enumerate(self.prefixes):
            if prefix.face not in self.faces and prefix.face not in self.multicast:
                suggestion = nearest(prefix.face, [*self.faces, *self.multicast])
                raise Misfit(f"no face is called {prefix.face!r}", suggestion, below=("prefixes", number, "face"))
        for key in ("announce", "register"):
            for number, face in enumerate(getattr(self, key)):
                if face not in self.faces:
                    raise Misfit(f"no face is called {face!r}", nearest(face, self.faces), below=(key, number))
        for number, region in enumerate(self.regions):
            if not len(_checkName(region, "regions", number)):
                raise Misfit("a region has a name", below=("regions", number))
        for name, strategy in self.strategies.items():
            _checkName(name, "strategies", name)
            try:
                checkStrategy(strategy)
            except (LookupError, ValueError) as error:
                suggestion = nearest(strategy, [each.type for each in installedStrategies()])
                raise Misfit(str(error.args[0]), suggestion, below=("strategies", name)) from None


def fixed(options: NDNOptions) -> tuple[Any, ...]:
    """
    What can't change while a listener runs: where faces are accepted, on what terms, and what the forwarder signs with.
    """
    return (
        options.bind,
        options.multicast,
        options.mtu,
        options.idle,
        options.maxPeers,
        options.origins,
        options.cache,
        options.management.sign,
    )
