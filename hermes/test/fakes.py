"""
A node's parts, in memory, for tests of the node itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from zope.interface import implementer

from hermes.config import AdminConfig, ListenerConfig, NodeConfig
from hermes.errors import HermesError
from hermes.fabric.handler import FlowHandler
from hermes.fabric.router import Route, Router
from hermes.generation import Generation, ListenerContext
from hermes.http.handler import RequestHandler
from hermes.http.origins import Origins
from hermes.http.plans import Plans
from hermes.interfaces import IAuthenticator, IDatagramReceiver, IDialer, IListener, IPacketReceiver, IServerCredentials
from hermes.ip.plane import PacketConfig, PacketPlane
from hermes.ip.table import PacketTable
from hermes.matching import Match
from hermes.node import Node
from hermes.portlistener import bindsOf
from hermes.values import Flow


@frozen
class FakeOptions:
    """
    Options of a listener.
    """

    bind: str | tuple[str, ...] = "127.0.0.1:0"
    note: str = ""


@implementer(IListener)
@define(eq=False)
class FakeListener:
    """
    Writes down what is asked of it.

    @ivar taken: addresses that can't be bound, because somebody has them: shared by all listeners of a test.
    @ivar badFiles: whether its files can't be read again.
    @ivar filesRead: how often they were.
    @ivar takes: notes of options that it can take while it runs.
    @ivar routes: the router, as it was when it was told of new routes.
    @ivar held: how many hold its place for it before it starts.
    """

    name: str
    options: FakeOptions
    context: ListenerContext | None
    taken: set[str]
    calls: list[str] = field(factory=list)
    connections: list[str] = field(factory=list)
    badFiles: bool = False
    filesRead: int = 0
    waits: Deferred[None] | None = None
    takes: tuple[str, ...] = ()
    routes: object = None
    held: int = 0
    holds: Deferred[None] | None = None

    @property
    def _binds(self) -> set[str]:
        bind = self.options.bind
        return {bind} if isinstance(bind, str) else set(bind)

    def start(self) -> Deferred[None]:
        self.calls.append("start")
        for bind in self._binds & self.taken:
            return fail(OSError(f"can't listen on {bind}: address already in use"))
        self.taken |= self._binds
        return self.waits or succeed(None)

    def stop(self) -> Deferred[None]:
        self.calls.append("stop")
        self.taken -= self._binds
        return succeed(None)

    @property
    def binds(self) -> tuple[str, ...]:
        """
        See L{IListener}.
        """
        return tuple(self._binds)

    def reserve(self, leaving: Sequence[IListener] = ()) -> Any:
        """
        See L{IListener}.
        """
        for bind in self._binds & self.taken - bindsOf(leaving):
            raise OSError(f"can't listen on {bind}: address already in use")
        self.held += 1
        return self._giveBack if self.holds is None else self.holds.addCallback(lambda _: self._giveBack)

    def _giveBack(self) -> None:
        self.held -= 1

    def drain(self) -> None:
        self.calls.append("drain")

    def abort(self) -> None:
        self.calls.append("abort")

    def checkFiles(self) -> None:
        """
        See L{hermes.http.listener.HTTPListener}.
        """
        if self.badFiles:
            raise HermesError("the certificate has no key")

    def readFiles(self) -> None:
        """
        The same.
        """
        self.filesRead += 1

    def reconfigurable(self, options: FakeOptions) -> bool:
        """
        See L{IListener}.
        """
        if options.note == "bad":
            raise HermesError("these options are bad")
        return options.note in self.takes

    def verify(self, options: FakeOptions, leaving: Sequence[IListener]) -> Deferred[None]:
        """
        The same.
        """
        return fail(HermesError("that is too much")) if options.note == "too much" else succeed(None)

    def reconfigure(self, options: FakeOptions) -> None:
        """
        The same.
        """
        self.calls.append(f"reconfigure {options.note}")
        self.options = options
        if options.note == "broken":
            raise RuntimeError("after all")

    def routesChanged(self) -> None:
        """
        The same.
        """
        self.routes = None if self.context is None else self.context.flows.router  # type: ignore[attr-defined]

    def getHost(self) -> object:
        if "stop" in self.calls:
            raise HermesError(f"{self.name} does not listen")
        return self.options.bind


@implementer(IDialer)
@define(eq=False)
class FakeDialer:
    """
    Connects to nothing: keeps what it was asked for.
    """

    asked: list[tuple[Flow, Deferred[Any], Any]] = field(factory=list)

    def connectStream(self, flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        asked: Deferred[IProtocol] = Deferred()
        self.asked.append((flow, asked, protocol))
        return asked

    def connectDatagrams(self, flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        asked: Deferred[IDatagramReceiver] = Deferred()
        self.asked.append((flow, asked, receiver))
        return asked

    def connectPackets(self, flow: Flow, receiver: IPacketReceiver) -> Deferred[IPacketReceiver]:
        asked: Deferred[IPacketReceiver] = Deferred()
        self.asked.append((flow, asked, receiver))
        return asked


@implementer(IAuthenticator)
@define(eq=False)
class FakeUsers:
    """
    Users, of whom one token is known.
    """

    token: bytes
    required: bool = False

    def authenticate(self, authorization: bytes | None) -> str | None:
        """
        The user, C{"user"}.
        """
        return "user" if authorization == self.token else None

    def authenticatePassword(self, user: str, password: str) -> bool:
        """
        Whether the password is the token.
        """
        return password.encode() == self.token

    def knownPassword(self, user: str, password: str) -> bool | None:
        """
        The same.
        """
        return self.authenticatePassword(user, password)


@define(eq=False)
class FakeAssembly:
    """
    Makes fakes.

    @ivar refuses: what L{generation} raises next.
    @ivar closing: fires once all that is discarded is closed.
    @ivar starting: what listeners that are made from now on wait for when they start.
    @ivar holding: what they wait for when they take hold of their place.
    """

    clock: Clock = field(factory=Clock)
    taken: set[str] = field(factory=set)
    made: list[FakeListener] = field(factory=list)
    committed: list[Generation] = field(factory=list)
    discarded: list[Generation] = field(factory=list)
    retired: list[Generation] = field(factory=list)
    refuses: HermesError | None = None
    direct: FakeDialer = field(factory=FakeDialer)
    network: Any = None
    closing: Deferred[None] = field(factory=lambda: succeed(None))
    starting: Deferred[None] | None = None
    holding: Deferred[None] | None = None

    def credentials(self) -> IServerCredentials | None:
        """
        None.
        """
        return None

    def generation(self, config: NodeConfig, before: Generation | None) -> Generation:
        """
        A generation without upstreams; its router takes all.
        """
        if self.refuses is not None:
            raise self.refuses
        return Generation(
            config,
            FakeUsers(str(config.drain).encode()),
            Router([Route(Match(), name="all")]),
            {},
            {},
            PacketConfig(PacketTable(())),
        )

    def commit(self, generation: Generation) -> None:
        """
        Write it down.
        """
        self.committed.append(generation)

    def discard(self, generation: Generation, kept: Generation | None) -> Deferred[None]:
        """
        Write it down.
        """
        self.discarded.append(generation)
        return self.closing

    def flows(self, generation: Generation) -> FlowHandler:
        """
        A real one, on the fake dialer.
        """
        return FlowHandler(generation.router, generation.upstreams, lambda special: self.direct, [], self.clock)

    def requests(self, generation: Generation, users: IAuthenticator) -> RequestHandler:
        """
        A real one.
        """
        return RequestHandler(self.plans(generation), users, [], self.clock, generation.config.node)

    def packets(self, generation: Generation, flows: FlowHandler) -> PacketPlane:
        """
        A real one, without routes.
        """
        return PacketPlane(
            self.clock,
            generation.packets,
            lambda names, nested, receiver: Deferred(),
            lambda names, nested: None,
            lambda name: Deferred(),
        )

    def plans(self, generation: Generation) -> Plans:
        """
        Real ones, on the fake dialer.
        """
        return Plans(
            generation.router,
            {},
            {},
            lambda special: self.direct,
            lambda dialer: Origins(dialer, self.clock),
            self.clock,
        )

    def retire(self, generation: Generation, successor: Generation) -> None:
        """
        Write it down.
        """
        self.retired.append(generation)

    def admin(self, config: AdminConfig, node: Node) -> IListener:
        """
        A fake one.
        """
        return self._made("admin", FakeOptions(str(config.bind)), None)

    def listener(self, name: str, config: ListenerConfig, context: ListenerContext) -> IListener:
        """
        A fake one.
        """
        options = config.options
        assert isinstance(options, FakeOptions)
        return self._made(name, options, context)

    def _made(self, name: str, options: FakeOptions, context: ListenerContext | None) -> FakeListener:
        listener = FakeListener(name, options, context, self.taken, waits=self.starting, holds=self.holding)
        self.made.append(listener)
        return listener
