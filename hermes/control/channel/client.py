"""
A node's connection to whichever controller leads: made, kept, made again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.spread import pb

from hermes.control.channel.backoff import Backoff
from hermes.control.channel.broker import ControlBroker
from hermes.control.channel.counts import Refusals
from hermes.control.channel.limits import DEFAULT, Limits
from hermes.control.channel.session import Redirected, Session
from hermes.control.errors import ControlError
from hermes.errors import HermesError
from hermes.interfaces.control import IAgentSide

STEADY = 30.0
"""
A connection that has lasted for so many seconds was a good one: the next failure is the first.
"""

MAX_ADDRESSES = 16
"""
How many addresses that controllers have told of are tried, beside those that were given.
"""


class ControllerClient:
    """
    Keeps a node connected.

    It tries the addresses in turn, each at once after the one before; when all have failed it waits, longer each time.
    A controller that does not lead says which one does, if it knows: that is tried next.

    @ivar session: the connection, while there is one.
    @ivar problem: why there is none, for the operator.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        agent: IAgentSide,
        addresses: Sequence[str],
        endpoint: Callable[[str], IStreamClientEndpoint],
        refusals: Refusals,
        limits: Limits = DEFAULT,
        backoff: Backoff | None = None,
    ) -> None:
        """
        @param addresses: C{HOST:PORT}, at least one.
        @param endpoint: connects to an address, with TLS: ALPN L{hermes.control.channel.server.CONTROL}, the node's
            certificate, and only to a controller.
        """
        self.session: Session | None = None
        self.problem: str | None = "not connected yet"
        self._clock = clock
        self._agent = agent
        self._given = tuple(addresses)
        self._told: tuple[str, ...] = ()
        self._endpoint = endpoint
        self._refusals = refusals
        self._limits = limits
        self._backoff = backoff or Backoff()
        self._running: Deferred[None] | None = None
        self._stopped = True
        self._watchers: list[Callable[[Session], object]] = []

    @property
    def addresses(self) -> tuple[str, ...]:
        """
        Those that are tried: as given, then those that controllers have told of.
        """
        return tuple(dict.fromkeys(self._given + self._told))

    def watch(self, callback: Callable[[Session], object]) -> None:
        """
        Call C{callback} with each session from now on, when it begins.
        """
        self._watchers.append(callback)

    def start(self) -> None:
        """
        Connect, and stay so.
        """
        if self._running is None:
            self._stopped = False
            self._running = Deferred.fromCoroutine(self._run())
            self._running.addErrback(self._ended)

    def stop(self) -> Deferred[None]:
        """
        End the connection, and make no other. Fires once it is gone.
        """
        running, self._running = self._running, None
        self._stopped = True
        session = self.session
        if running is not None:
            running.cancel()
        if session is None:
            return succeed(None)
        done: Deferred[None] = Deferred()

        def lost(reason: BaseException) -> BaseException:
            done.callback(None)
            return reason

        session.lost.addCallback(lost)
        return done

    def again(self) -> None:
        """
        Close the connection and make another: the certificate is a new one.
        """
        if self.session is not None:
            self.session.broker.close()

    def _ended(self, failure: Any) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("keeping the connection to the controller failed", failure)

    async def _run(self) -> None:
        while not self._stopped:
            try:
                await self._round()
            except Exception as error:
                # Whatever it was: a node that tries no more is lost to its overlay.
                if self._stopped:
                    raise
                self.problem = f"internal error: {error!r}"
                self.log.failure("connecting to the controller failed")
            await deferLater(self._clock, self._backoff.next())

    async def _round(self) -> None:
        """
        Try each address until one has been a controller's that leads, and that was lost again.
        """
        left = list(self.addresses)
        tried: set[str] = set()
        while left:
            address = left.pop(0)
            tried.add(address)
            try:
                session = await self._connect(address)
            except Redirected as redirected:
                self._learn(redirected.controllers)
                self.problem = f"{address} does not lead"
                leader = redirected.leader
                if leader and leader not in tried:
                    left = [leader, *(each for each in left if each != leader)]
                continue
            except (HermesError, pb.Error) as error:
                self.problem = f"{address}: {error}"
                self.log.info("no connection to the controller at {address}: {error}", address=address, error=error)
                continue
            await self._keep(address, session)
            return

    async def _keep(self, address: str, session: Session) -> None:
        self.session, self.problem = session, None
        self._learn(session.welcome.controllers)
        began = self._clock.seconds()
        self.log.info("connected to the controller at {address}", address=address)
        try:
            for watcher in list(self._watchers):
                watcher(session)
            reason = await session.lost
        except BaseException:
            session.broker.cut()
            raise
        finally:
            self.session = None
        self.problem = f"the connection was lost: {reason}"
        self.log.info(
            "the connection to the controller at {address} was lost: {reason}",
            address=address,
            reason=reason,
        )
        if self._clock.seconds() - began >= STEADY:
            self._backoff.reset()

    def _learn(self, controllers: Sequence[str]) -> None:
        if controllers:
            self._told = tuple(controllers[:MAX_ADDRESSES])

    async def _connect(self, address: str) -> Session:
        """
        @raise HermesError: where there is no controller that can be talked to.
        """
        try:
            endpoint = self._endpoint(address)
        except ValueError as error:
            raise ControlError(f"{address!r} is no address of a controller") from error

        def make() -> ControlBroker:
            broker = ControlBroker(True, self._clock, self._refusals, self._limits)
            broker.peerName = "the controller"
            return broker

        broker: Any = await endpoint.connect(Factory.forProtocol(make))  # type: ignore[type-var]
        try:
            return await Session.begin(broker, self._agent, self._clock)
        except BaseException:
            broker.cut()
            raise
