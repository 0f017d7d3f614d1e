"""
Calls to etcd: one member after the other is asked, until one answers.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.client import Agent, HTTPConnectionPool, PartialDownloadError, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from hermes.control.store.errors import StoreError, StoreRefused, StoreUnavailable
from hermes.control.store.etcd.answers import Denied, EtcdError, Unreached, errorOf, whyNot
from hermes.control.store.etcd.bodies import Collected, Written
from hermes.control.store.etcd.connecting import Connections
from hermes.control.store.etcd.options import EtcdOptions
from hermes.control.store.etcd.tls import EtcdPolicy, fileOf

_T = TypeVar("_T")

Answer: TypeAlias = dict[str, Any]

PAUSE: Final = 0.2
"""
Seconds between two rounds over all members.
"""

TOGETHER: Final = 16
"""
Calls that are made at the same time; more wait. Those that keep a lease alive do not.
"""


def _apart(work: Deferred[_T]) -> Deferred[_T]:
    """
    The same, but that it is cancelled with a C{CancelledError} and nothing else, whatever becomes of the work then.
    """

    def cancel(apart: Deferred[_T]) -> None:
        apart.errback(CancelledError())
        work.cancel()

    apart: Deferred[_T] = Deferred(cancel)
    work.addCallbacks(
        lambda result: None if apart.called else apart.callback(result),
        lambda failure: None if apart.called else apart.errback(failure),
    )
    return apart


class Gateway:
    """
    The members of one etcd.

    Each call may be made more than once: a member that was asked and did not answer may have done it. Whoever calls
    makes that do no harm.

    @ivar clock: the time that its waits go by.
    """

    log = Logger()

    def __init__(self, reactor: Any, clock: IReactorTime, options: EtcdOptions) -> None:
        self.clock = clock
        self.endpoints = tuple(each.rstrip("/") for each in options.endpoints)
        self._options = options
        self._policy = EtcdPolicy(options)
        self._reactor = reactor
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = TOGETHER
        # Ours to decide.
        self._pool.retryAutomatically = False
        self._connections = Connections(reactor, self._policy, options.answer)
        self._agent = Agent.usingEndpointFactory(reactor, self._connections, self._pool)
        self._places = DeferredSemaphore(TOGETHER)
        self._preferred = 0
        self._token: str | None = None
        self._closed = False
        self._calls: set[Deferred[Any]] = set()

    def close(self) -> Deferred[None]:
        """
        Nothing is asked any more; calls under way fail.
        """
        self._closed = True
        for each in list(self._calls):
            each.cancel()
        closing: Deferred[None] = self._pool.closeCachedConnections()
        self._connections.abort()
        return closing

    async def call(
        self, path: str, question: Mapping[str, Any], patience: float | None = None, urgent: bool = False
    ) -> Answer:
        """
        Ask, until a member answers.

        @param path: below C{/v3}.
        @param patience: seconds after which it fails.
        @param urgent: whether it does not wait behind others.
        @raise StoreUnavailable: nobody answered in time.
        @raise StoreError: what etcd answered.
        """
        if urgent:
            return await self._ask(path, question, patience)
        await self._places.acquire()
        try:
            return await self._ask(path, question, patience)
        finally:
            self._places.release()

    async def _ask(self, path: str, question: Mapping[str, Any], patience: float | None) -> Answer:
        until = self.clock.seconds() + (self._options.patience if patience is None else patience)
        reasons: dict[str, str] = {}
        while True:
            for endpoint in self._order():
                left = until - self.clock.seconds()
                if self._closed or left <= 0:
                    raise StoreUnavailable(self._unavailable(reasons))
                try:
                    answer = await self.ask(endpoint, path, question, min(left, self._options.answer))
                except Unreached as error:
                    reasons[endpoint] = str(error)
                    continue
                except CancelledError:
                    if self._closed:
                        raise StoreUnavailable(self._unavailable(reasons)) from None
                    raise
                self._prefer(endpoint)
                return answer
            await self.pause(min(PAUSE, max(0.0, until - self.clock.seconds())))

    def _unavailable(self, reasons: Mapping[str, str]) -> str:
        if self._closed:
            return "the connection to etcd was closed"
        told = "; ".join(f"{endpoint}: {reasons[endpoint]}" for endpoint in self.endpoints if endpoint in reasons)
        return f"etcd does not answer ({told or 'no time was left'})"

    def _order(self) -> list[str]:
        return [*self.endpoints[self._preferred :], *self.endpoints[: self._preferred]]

    def _prefer(self, endpoint: str) -> None:
        number = self.endpoints.index(endpoint)
        if number != self._preferred:
            self.log.info("etcd: {endpoint} answers, and is used from now on", endpoint=endpoint)
            self._preferred = number

    @property
    def preferred(self) -> str:
        """
        The member that has answered last.
        """
        return self.endpoints[self._preferred]

    def pause(self, seconds: float) -> Deferred[None]:
        """
        Fires after so many seconds. It can be cancelled.
        """
        paused: Deferred[None] = Deferred(lambda _: call.cancel())
        call = self.clock.callLater(seconds, paused.callback, None)
        return paused

    async def ask(self, endpoint: str, path: str, question: Mapping[str, Any], timeout: float) -> Answer:
        """
        Ask one member, once, or twice where it wants to know anew who asks.

        @raise Unreached: it did not answer.
        @raise StoreError: what it answered.
        """
        for last in (False, True):
            shown = await self._shown(endpoint, timeout)
            try:
                return await self._send(endpoint, path, question, timeout, shown)
            except Denied as error:
                if last or not self._options.user:
                    raise StoreRefused(f"etcd refuses: {error}") from None
                # Another call may have got a new one meanwhile.
                if self._token == shown:
                    self._token = None
        raise AssertionError("it returns or raises")

    async def _shown(self, endpoint: str, timeout: float) -> str | None:
        """
        The token that says who we are, or L{None}.
        """
        options = self._options
        if not options.user:
            return None
        if self._token is None:
            password = (
                "" if options.password is None else fileOf(options.password).decode("utf-8", "replace").rstrip("\r\n")
            )
            question = {"name": options.user, "password": password}
            try:
                answer = await self._send(endpoint, "/auth/authenticate", question, timeout, None)
            except Denied as error:
                raise StoreRefused(f"etcd refuses the user {options.user}: {error}") from None
            except EtcdError as error:
                if error.disabled:
                    # Everybody may.
                    return None
                raise StoreRefused(f"etcd refuses the user {options.user}: {error}") from None
            token = answer.get("token")
            if not isinstance(token, str):
                raise Unreached("it answered with no token")
            self._token = token
        return self._token

    async def _send(
        self, endpoint: str, path: str, question: Mapping[str, Any], timeout: float, token: str | None
    ) -> Answer:
        status, body = await self._timed(self._exchange(endpoint, path, question, token), timeout)
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Unreached(f"what answers there (status {status}) is not etcd 3")
        # A stream of one answer: the call that keeps a lease alive.
        failed = answer.get("error")
        if status != 200 or failed is not None:
            raise errorOf(failed if isinstance(failed, dict) else answer, status)
        return answer

    async def _timed(self, work: Coroutine[Deferred[Any], Any, _T], timeout: float) -> _T:
        """
        What comes of it, in time.

        @raise Unreached: nothing does.
        @raise CancelledError: somebody waits no more.
        """
        waiting = _apart(Deferred.fromCoroutine(work)).addTimeout(timeout, self.clock)
        self._calls.add(waiting)
        try:
            return await waiting
        except (StoreError, Unreached, CancelledError):
            raise
        except Exception as error:
            raise Unreached(whyNot(error)) from None
        finally:
            self._calls.discard(waiting)

    async def _exchange(
        self, endpoint: str, path: str, question: Mapping[str, Any], token: str | None
    ) -> tuple[int, bytes]:
        response = await self._request(self._agent, endpoint, path, question, token)
        collect = Collected()
        response.deliverBody(collect)
        try:
            return response.code, await collect.done
        except (PartialDownloadError, ResponseFailed) as error:
            raise Unreached(whyNot(error)) from None

    def _request(
        self, agent: Agent, endpoint: str, path: str, question: Mapping[str, Any], token: str | None
    ) -> Deferred[IResponse]:
        headers = Headers({"content-type": ["application/json"]})
        if token is not None:
            headers.addRawHeader("authorization", token)
        body = Written(json.dumps(question).encode("ascii"))
        request: Deferred[IResponse] = agent.request(b"POST", f"{endpoint}/v3{path}".encode("ascii"), headers, body)
        return request

    async def stream(self, endpoint: str, path: str, question: Mapping[str, Any]) -> tuple[IResponse, Connections]:
        """
        Ask for answers that go on and on, on a connection of its own.

        @return: the response, once it begins, and what cuts its connection.
        @raise Unreached: it did not answer.
        @raise StoreError: what it answered.
        """
        timeout = self._options.answer
        token = await self._shown(endpoint, timeout)
        connections = Connections(self._reactor, self._policy, timeout)
        agent = Agent.usingEndpointFactory(self._reactor, connections)

        async def begun() -> IResponse:
            return await self._request(agent, endpoint, path, question, token)

        try:
            return await self._timed(begun(), timeout), connections
        except BaseException:
            connections.abort()
            raise

    def forgetToken(self) -> None:
        """
        Say anew who we are.
        """
        self._token = None
