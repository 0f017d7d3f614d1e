"""
The admin listener of a node with workers: asks each of them, and adds up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, readBody
from twisted.web.iweb import IAgentEndpointFactory
from twisted.web.server import Site
from zope.interface import implementer

from hermes.admin.resources import site
from hermes.admin.summing import Ledger, sumStatus


@implementer(IAgentEndpointFactory)
class _Sockets:
    """
    Takes every request to one Unix socket.
    """

    def __init__(self, reactor: Any, path: str) -> None:
        self._reactor = reactor
        self._path = path

    def endpointForURI(self, uri: Any) -> UNIXClientEndpoint:
        return UNIXClientEndpoint(self._reactor, self._path, timeout=5)


class Workers:
    """
    Asks the admin sockets of all workers. One that does not answer, because it is just being restarted, is left out.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, sockets: Callable[[], Sequence[str]], addresses: Callable[[], Mapping[str, str]]
    ) -> None:
        """
        @param sockets: gives the paths of the Unix sockets of the workers that run.
        @param addresses: gives the addresses, by name, of listeners of all together where each has one of its own, too.
        """
        self._reactor = reactor
        self._sockets = sockets
        self._addresses = addresses
        self._ledger = Ledger()

    def _ask(self, page: str) -> Deferred[list[bytes]]:
        return self._askEach(page).addCallback(lambda bodies: list(bodies.values()))

    def _askEach(self, page: str) -> Deferred[dict[str, bytes]]:
        """
        What each answers, by its socket.
        """

        def failed(failure: Failure) -> None:
            self.log.info("a worker does not answer: {reason}", reason=failure.getErrorMessage())

        answers = []
        paths = self._sockets()
        for path in paths:
            agent = Agent.usingEndpointFactory(self._reactor, _Sockets(self._reactor, path))
            answer = agent.request(b"GET", b"http://worker/" + page.encode()).addCallback(readBody)
            answers.append(answer.addErrback(failed))

        def answered(bodies: list[bytes | None]) -> dict[str, bytes]:
            return {path: body for path, body in zip(paths, bodies, strict=True) if body is not None}

        return gatherResults(answers).addCallback(answered)

    def metrics(self) -> Deferred[bytes]:
        """
        The sum of all, those that are gone included.
        """

        def summed(bodies: dict[str, bytes]) -> bytes:
            return self._ledger.sum({path: body.decode() for path, body in bodies.items()})

        return self._askEach("metrics").addCallback(summed)

    def summary(self) -> Deferred[dict[str, Any]]:
        """
        The status of all together.
        """

        def summed(bodies: list[bytes]) -> dict[str, Any]:
            if not bodies:
                return {"draining": True, "workers": 0}
            total: dict[str, Any] = sumStatus([json.loads(body) for body in bodies])
            common = self._addresses()
            for listener in total["listeners"]:
                listener["address"] = common.get(listener["name"], listener["address"])
            return total

        return self._ask("status").addCallback(summed)

    def flows(self, limit: int) -> Deferred[list[dict[str, Any]]]:
        """
        The newest flows of all.
        """
        return self._newest("flows", limit)

    def requests(self, limit: int) -> Deferred[list[dict[str, Any]]]:
        """
        The newest exchanges of all.
        """
        return self._newest("requests", limit)

    def _newest(self, page: str, limit: int) -> Deferred[list[dict[str, Any]]]:
        def joined(bodies: list[bytes]) -> list[dict[str, Any]]:
            entries: list[dict[str, Any]] = [entry for body in bodies for entry in json.loads(body)]
            entries.sort(key=lambda entry: entry["seconds"])
            return entries[:limit]

        return self._ask(f"{page}?limit={limit}").addCallback(joined)

    def site(self) -> Site:
        """
        The site of the supervisor.
        """
        return site(self.metrics, self.summary, self.flows, self.requests)
