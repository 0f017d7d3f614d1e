"""
The responses that are read ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from hermes.http.spool import Spool, SpoolPolicy
from hermes.messages import Request, Response

MAX_SPOOLS: Final = 256
"""
Responses of one route that are spooled at a time. Of those that nobody reads, the oldest makes room for another; where
all are read, another is passed on as it comes.
"""


class Spools:
    """
    The responses that are spooled for one route.
    """

    def __init__(
        self, policy: SpoolPolicy, fetch: Callable[[Request], Deferred[Response]], clock: IReactorTime
    ) -> None:
        """
        @param fetch: sends a request.
        """
        self._policy = policy
        self._fetch = fetch
        self._clock = clock
        self._spools: dict[tuple[str, bytes], Spool] = {}

    def send(self, request: Request) -> Deferred[Response]:
        """
        Answer a request that has a name, from a node that has one.
        """
        node, name = request.flow.identity.node, request.name
        assert node is not None and name is not None
        key = node, name
        known = self._spools.get(key)
        if known is not None:
            answer = known.join(request)
            if answer is not None:
                return answer
            known.stop()
        if len(self._spools) >= MAX_SPOOLS:
            oldest = next((spool for spool in self._spools.values() if spool.idle), None)
            if oldest is None:
                return self._fetch(request)
            oldest.stop()

        def ended(spool: Spool) -> None:
            if self._spools.get(key) is spool:
                del self._spools[key]

        # 1xx responses are for whoever is there; who is, changes.
        spool = self._spools[key] = Spool(
            evolve(request, informational=None), self._fetch, self._policy, self._clock, ended
        )
        answer = spool.join(request)
        assert answer is not None
        return answer
