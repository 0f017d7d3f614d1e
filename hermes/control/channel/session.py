"""
A node's end of one connection to a controller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.spread import pb

import hermes
from hermes.control.channel.agentend import AgentEnd
from hermes.control.channel.broker import ControlBroker
from hermes.control.channel.conversion import fromValue, toValue
from hermes.control.channel.errors import BadCall, CallTimeout, ChannelLost
from hermes.control.channel.methods import NODE, VERSIONS, Events, Hello, Nothing, Renew, Renewed, Report, Welcome
from hermes.control.channel.typed import ask
from hermes.control.errors import ControlError
from hermes.control.values import NodeState
from hermes.interfaces.control import IAgentSide

HELLO_TIME = 15.0
"""
Seconds until a controller that does not answer is given up.
"""


class Redirected(ControlError):
    """
    This controller does not lead.

    @ivar leader: the address of the one that does, or empty.
    @ivar controllers: the addresses of all that it knows.
    """

    def __init__(self, leader: str, controllers: tuple[str, ...]) -> None:
        super().__init__("this controller does not lead")
        self.leader = leader
        self.controllers = controllers


class Session:
    """
    One connection, after C{hello}. It tells the controller each new state of the agent, the last one where several came
    while it was telling one; and says something at each heartbeat.

    @ivar welcome: what the controller has answered.
    @ivar lost: fires with why, once it is lost.
    """

    log = Logger()

    def __init__(
        self,
        broker: ControlBroker,
        perspective: pb.RemoteReference,
        welcome: Welcome,
        agent: IAgentSide,
        told: NodeState,
        clock: IReactorTime,
    ) -> None:
        """
        @param told: the state that C{hello} told.
        """
        self.broker = broker
        self.welcome = welcome
        self.lost: Deferred[BaseException] = Deferred()
        self._perspective = perspective
        self._agent = agent
        self._told = told
        self._telling = False
        self._clock = clock
        self._beat: IDelayedCall | None = None
        self._stop: Callable[[], None] = lambda: None

    @classmethod
    async def begin(cls, broker: ControlBroker, agent: IAgentSide, clock: IReactorTime) -> Session:
        """
        Say hello.

        @raise Redirected: where the controller does not lead.
        @raise pb.Error: where it refuses: L{hermes.control.channel.errors.CallError}.
        @raise ControlError: where the connection is lost, or it does not answer.
        """
        await broker.ready
        state = agent.state
        hello = Hello(versions=VERSIONS, state=state, software=hermes.__version__)
        answer = await broker.call(broker.root, "hello", toValue(hello, Hello), HELLO_TIME, (AgentEnd(agent),))
        try:
            perspective, found = answer
            welcome = fromValue(found, Welcome)
        except (ValueError, TypeError) as error:
            raise BadCall("hello is not answered as it must be") from error
        if welcome.redirect:
            raise Redirected(welcome.leader, welcome.controllers)
        if not isinstance(perspective, pb.RemoteReference) or welcome.version not in VERSIONS or welcome.heartbeat <= 0:
            raise BadCall("hello is not answered as it must be")
        session = cls(broker, perspective, welcome, agent, state, clock)
        session._start()
        return session

    def _start(self) -> None:
        self.broker.lost.addCallback(self._ended)
        self._stop = self._agent.watch(lambda state: self._tell())
        self._agent.controllerConnected()
        self._tell()
        self._nextBeat()

    def _ended(self, reason: BaseException) -> BaseException:
        self._stop()
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        self._agent.controllerLost()
        self.lost.callback(reason)
        return reason

    def renew(self, request: str) -> Deferred[Renewed]:
        """
        Have a certificate signed: PKCS #10, PEM.
        """
        return self._ask("renew", Renew(request))

    def tell(self, events: Events) -> Deferred[None]:
        """
        Tell of events.
        """
        return self._ask("events", events)

    def _ask(self, name: str, arguments: Any) -> Deferred[Any]:
        return ask(self.broker, self._perspective, name, NODE[name], arguments)

    # The state

    def _tell(self) -> None:
        state = self._agent.state
        if self._telling or _same(state, self._told) or self.broker.disconnected:
            return
        self._told = state
        self._telling = True
        self._ask("state", Report(state)).addBoth(self._hasTold)

    def _hasTold(self, result: Any) -> None:
        self._telling = False
        if isinstance(result, Failure):
            self._failed(result)
        else:
            self._tell()

    # The heartbeat

    def _nextBeat(self) -> None:
        self._beat = self._clock.callLater(self.welcome.heartbeat, self._ping)

    def _ping(self) -> None:
        self._beat = None
        asked = ask(self.broker, self._perspective, "ping", NODE["ping"], Nothing(), 2 * self.welcome.heartbeat)
        asked.addCallbacks(lambda _: self._nextBeat(), self._failed)

    def _failed(self, failure: Failure) -> None:
        if failure.check(ChannelLost) is None:
            silent = failure.check(CallTimeout) is not None
            self.log.warn(
                "{what}: {error}",
                what="the controller is silent" if silent else "the controller refuses",
                error=failure.getErrorMessage(),
            )
            self.broker.cut()


def _same(one: NodeState, other: NodeState) -> bool:
    """
    But for what only the controller knows.
    """
    return evolve(one, connected=False, seen=0.0) == evolve(other, connected=False, seen=0.0)
