"""
An upstream whose endpoints this node picks, for flows and for requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakValueDictionary, finalize

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hermes.fabric.endpoints import EndpointsDialer, Group
from hermes.fabric.places import Endpoint
from hermes.fabric.reach import Reach
from hermes.http.breakers import Breakers
from hermes.http.endpoints import EndpointSender
from hermes.http.health import HealthChecks
from hermes.http.keys import RequestKey
from hermes.http.senders import SenderPool, Senders
from hermes.interfaces import IDialer, INetwork, IRequestSender, IRequestUpstream


@implementer(IRequestUpstream)
class EndpointsUpstream(EndpointsDialer):
    """
    The endpoints of a C{direct} upstream. What is known of them is the same for flows and for requests, straight and
    through hops.

    @ivar breakers: bounds of requests.
    @ivar permit: whether a request may be sent once more, see L{Breakers.permit}.
    @ivar health: active checks; L{None} where there are none. Set before L{start}.
    """

    health: HealthChecks | None = None

    def __init__(
        self,
        network: INetwork,
        group: Group,
        reach: Reach,
        senders: Senders,
        breakers: Breakers,
        clock: IReactorTime,
        requestKey: RequestKey | None = None,
        warm: int = 0,
    ) -> None:
        """
        @param reach: how flows are connected.
        @param senders: what sends requests.
        @param requestKey: what requests are balanced by, where that is by a key.
        @param warm: how many connections to each endpoint are made in advance.
        """
        super().__init__(network, group, reach)
        self.breakers = breakers
        self.permit = breakers.permit
        self._senders = senders
        self._clock = clock
        self._requestKey = requestKey
        self._warm = warm
        self._straight: EndpointSender | None = None
        # By the carrier's id, which a sender keeps alive.
        self._carried: WeakValueDictionary[int, EndpointSender] = WeakValueDictionary()
        # In the order in which they came: one that nobody uses any more may live on for a while.
        self._carriers: WeakValueDictionary[int, Any] = WeakValueDictionary()
        self._carrierCount = 0
        self._usedStraight = False
        self._closed = False

    # IEndpoints and IRequestUpstream

    def through(self, dialer: IDialer) -> IDialer:
        self._carry(dialer)
        return super().through(dialer)

    def sender(self, carrier: IDialer | None = None) -> IRequestSender:
        if carrier is None:
            return self._straightSender()
        found = self._carried.get(id(carrier))
        if found is None:
            self._carry(carrier)
            found = self._carried[id(carrier)] = self._makeSender(carrier)
            # Once no route sends through it any more, and nothing is under way.
            finalize(found, found.pool.close).atexit = False
            self._warmUp(found.pool)
        return found

    def _straightSender(self) -> EndpointSender:
        if self._straight is None:
            self._straight = self._makeSender(None)
        return self._straight

    def _makeSender(self, carrier: IDialer | None) -> EndpointSender:
        pool = self._senders.through(carrier)
        return EndpointSender(self.group, self.breakers, pool, self._requestKey, self._clock)

    def _carry(self, carrier: IDialer) -> None:
        if not any(known is carrier for known in self._carriers.values()):
            self._carrierCount += 1
            self._carriers[self._carrierCount] = carrier
        if self.health is not None and not self._closed:
            self.health.start()

    # In use

    def start(self, straight: bool) -> None:
        """
        It is used from now on: check its endpoints, and connect to them in advance. May be called again.

        @param straight: whether something reaches its endpoints straight. Where nothing does, checks go through a hop
            that something does reach them through, as soon as one is known.
        """
        self._usedStraight = straight
        if straight:
            self._warmUp(self._straightSender().pool)
        if self.health is not None and (straight or self._carriers):
            self.health.start()

    def reachNow(self, reach: Reach) -> Reach | None:
        """
        How endpoints are reached at present; L{None} where they are not.

        @param reach: how, straight.
        """
        if self._usedStraight:
            return reach
        carriers = sorted(self._carriers.items(), reverse=True)
        return reach.through(carriers[0][1]) if carriers else None

    def recovered(self, endpoint: Endpoint) -> None:
        """
        An endpoint is healthy again.
        """
        for pool in self._pools():
            self._warmUp(pool, endpoint)

    def _warmUp(self, pool: SenderPool, endpoint: Endpoint | None = None) -> None:
        if self._warm and not self._closed:
            for each in self.group.balancer.endpoints if endpoint is None else (endpoint,):
                pool.warm(each, self._warm)

    def _pools(self) -> Iterator[SenderPool]:
        if self._straight is not None:
            yield self._straight.pool
        for sender in list(self._carried.values()):
            yield sender.pool

    def close(self) -> Deferred[None]:
        """
        It is used no more. Fires when the connections for requests have ended; flows go on.
        """
        self._closed = True
        if self.health is not None:
            self.health.stop()
        return gatherResults([pool.close() for pool in self._pools()]).addCallback(lambda _: None)

    # For the status API

    def status(self) -> dict[str, Any]:
        """
        What each endpoint carries, and how it is.
        """
        now = self._clock.seconds()
        pools = list(self._pools())
        return {
            "type": "direct",
            "requests": self.breakers.requests,
            "retries": self.breakers.retries,
            "refused": self.breakers.refused,
            "endpoints": [self._endpointStatus(endpoint, pools, now) for endpoint in self.group.balancer.endpoints],
        }

    def _endpointStatus(self, endpoint: Endpoint, pools: list[SenderPool], now: float) -> dict[str, Any]:
        clients = [client for pool in pools for client in pool.clientsOf(endpoint)]
        return {
            "address": endpoint.address,
            "state": _state(endpoint, now),
            "healthy": endpoint.healthy,
            "ejected": endpoint.ejectedUntil > now,
            "active": endpoint.active,
            "flows": endpoint.flows,
            "connections": sum(client.size for client in clients),
            "pending": sum(client.pending for client in clients),
            "failures": endpoint.failures,
            "error": None if self.health is None else self.health.error(endpoint),
        }


def _state(endpoint: Endpoint, now: float) -> str:
    """
    In a word.
    """
    if not endpoint.healthy:
        return "unhealthy"
    if endpoint.ejectedUntil > now:
        return "ejected"
    return "down" if endpoint.downUntil > now else "up"
