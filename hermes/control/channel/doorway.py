"""
The first object of a connection to a controller: it takes C{hello}, once, and answers with a perspective.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

import hermes
from hermes.control.channel.broker import ControlBroker
from hermes.control.channel.callee import Call, Callee
from hermes.control.channel.conversion import Unconvertible, fromValue, toValue
from hermes.control.channel.credentials import Certificate
from hermes.control.channel.errors import BadCall, ChannelLost, NoCommonVersion, NotAllowed
from hermes.control.channel.methods import VERSIONS, Hello, Welcome
from hermes.control.channel.perspectives import IPerspective, Mind


@frozen
class Leadership:
    """
    Whether this controller leads, as whoever connects is told.

    @ivar leads: whether it does.
    @ivar leader: the address of the one that does, where it is another and its address is known.
    @ivar controllers: the addresses of all.
    """

    leads: bool = True
    leader: str = ""
    controllers: tuple[str, ...] = ()


class Doorway(Callee):
    """
    See the module.

    @ivar broker: the connection's, set by whoever makes it.
    @ivar greeted: called when the peer was taken; set likewise.
    """

    broker: ControlBroker
    greeted: Callable[[], object]

    def __init__(
        self,
        certificate: Certificate,
        portal: Portal,
        leadership: Callable[[], Leadership],
        heartbeat: float,
        clock: IReactorTime,
    ) -> None:
        super().__init__({"hello": self._hello})
        self._certificate = certificate
        self._portal = portal
        self._leadership = leadership
        self._heartbeat = heartbeat
        self._clock = clock
        self._called = False

    def _hello(self, call: Call) -> Deferred[Any]:
        if self._called:
            raise NotAllowed("hello is said once")
        self._called = True
        try:
            hello = fromValue(call.values, Hello)
        except Unconvertible as error:
            raise BadCall("hello does not take such arguments") from error
        return Deferred.fromCoroutine(self._welcome(hello, call))

    async def _welcome(self, hello: Hello, call: Call) -> Any:
        common = set(hello.versions) & set(VERSIONS)
        if not common:
            spoken = ", ".join(map(str, VERSIONS))
            raise NoCommonVersion(f"the versions that are spoken here: {spoken}")
        leadership = self._leadership()
        welcome = Welcome(
            version=max(common),
            software=hermes.__version__,
            heartbeat=self._heartbeat,
            controllers=leadership.controllers,
            redirect=not leadership.leads,
            leader=leadership.leader,
        )
        if not leadership.leads:
            return [None, toValue(welcome, Welcome)]
        perspective = await self._login(hello, call)
        return [perspective, toValue(welcome, Welcome)]

    async def _login(self, hello: Hello, call: Call) -> Callee:
        agent = call.references[0] if call.references else None
        mind = Mind(self.broker, self._certificate, agent, hello.state)
        perspective: Any
        try:
            _, perspective, logout = await self._portal.login(self._certificate, mind, IPerspective)
        except UnauthorizedLogin as error:
            raise NotAllowed(str(error)) from error
        if self.broker.disconnected:
            logout()
            raise ChannelLost("it is gone already")

        def lost(reason: BaseException) -> BaseException:
            logout()
            return reason

        self.broker.lost.addCallback(lost)
        self.broker.trust()
        self.greeted()
        # Once the answer is on its way.
        self._clock.callLater(0, perspective.enter)
        found: Callee = perspective
        return found
