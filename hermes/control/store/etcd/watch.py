"""
Hearing of changes: a stream of events, which goes on where it broke.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.store.errors import StoreError
from hermes.control.store.etcd.answers import Denied, Unreached, errorOf, whyNot
from hermes.control.store.etcd.connecting import Connections
from hermes.control.store.etcd.gateway import Gateway
from hermes.control.store.etcd.space import Stored, encoded, whole

LINE: Final = 16 * 1024 * 1024
"""
Bytes of one message of the stream.
"""

PAUSES: Final = (0.1, 0.5, 1.0, 2.0)
"""
Seconds before each try to have the stream again.
"""


class Compacted(Exception):
    """
    What happened since then is not known to etcd any more.
    """


@frozen
class Event:
    """
    A key was written or removed.

    @ivar removed: which.
    @ivar stored: the key, and its value where it was written.
    """

    removed: bool
    stored: Stored


class Stream(Protocol):
    """
    Messages, one to a line.

    @ivar ended: fails when there are no more, with why.
    """

    log = Logger()

    def __init__(self, received: Callable[[dict[str, Any]], None], connections: Connections) -> None:
        """
        @param received: is given each message. What it raises ends the stream.
        """
        self.ended: Deferred[None] = Deferred(lambda _: self.stop(CancelledError()))
        self._received = received
        self._connections = connections
        self._rest = b""

    def dataReceived(self, data: bytes) -> None:
        if self.ended.called:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            if len(self._rest) > LINE:
                raise Unreached("it has sent a message that is too large")
            for line in lines:
                self._received(_message(line))
                if self.ended.called:
                    return
        except (Unreached, Denied, Compacted, StoreError) as error:
            self.stop(error)
        except Exception as error:
            self.log.failure("a message from etcd could not be understood")
            self.stop(Unreached(f"it has sent what could not be understood: {error!r}"))

    def stop(self, error: BaseException) -> None:
        """
        Cut it.
        """
        if not self.ended.called:
            self.ended.errback(Failure(error))
        self._connections.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.ended.called:
            self.ended.errback(Failure(Unreached(whyNot(reason.value))))


def _message(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unreached("it has sent what is no message")
    error = found.get("error")
    if error is not None:
        raise errorOf(error if isinstance(error, dict) else {"error": error}, 200)
    result = found.get("result")
    if not isinstance(result, dict):
        raise Unreached("it has sent what is no message")
    return result


class Watch:
    """
    All events of a range of keys, from when it is started, in their order; and when some may have been missed.

    @ivar revision: of the store, up to which all events were told.
    """

    log = Logger()

    def __init__(
        self,
        gateway: Gateway,
        first: bytes,
        end: bytes,
        told: Callable[[Event], object],
        missed: Callable[[], object],
        ping: float,
    ) -> None:
        """
        @param first: the first key.
        @param end: the one after the last.
        @param missed: called when events were missed: what depends on them is to be read again.
        @param ping: seconds after which the member is asked something else: one that hangs, or was cut off from the
            others, sends no events and does not say so.
        """
        self.revision = 0
        self._gateway = gateway
        self._first = first
        self._end = end
        self._told = told
        self._missed = missed
        self._ping = ping
        self._running: Deferred[None] | None = None

    def start(self, revision: int) -> None:
        """
        @param revision: of the store, after which events are wanted.
        """
        self.revision = revision
        self._running = Deferred.fromCoroutine(self._run()).addErrback(self._over)

    def stop(self) -> None:
        """
        No more.
        """
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    def _over(self, failure: Failure) -> None:
        if self._running is not None:
            self.log.failure("a watch has ended", failure)

    async def _run(self) -> None:
        tries = 0
        endpoints = self._gateway.endpoints
        at = endpoints.index(self._gateway.preferred)
        while True:
            begun = self.revision
            endpoint = endpoints[at % len(endpoints)]
            try:
                await self._follow(endpoint)
            except Compacted:
                await self._catchUp()
                continue
            except (Unreached, StoreError, Denied) as error:
                if isinstance(error, Denied):
                    self._gateway.forgetToken()
                if not tries:
                    self.log.warn("no news from etcd at {endpoint}: {error}", endpoint=endpoint, error=error)
            tries = 1 if self.revision > begun else tries + 1
            at += 1
            await self._gateway.pause(PAUSES[min(tries, len(PAUSES)) - 1])

    async def _catchUp(self) -> None:
        """
        Go on from now, and have all read again.
        """
        while True:
            try:
                answer = await self._gateway.call("/kv/range", self._look(), urgent=True)
                break
            except StoreError as error:
                self.log.warn("etcd can't be read: {error}", error=error)
                await self._gateway.pause(PAUSES[-1])
        self.revision = _revision(answer)
        self._missed()

    def _look(self) -> dict[str, Any]:
        return {"key": encoded(self._first), "count_only": True}

    async def _follow(self, endpoint: str) -> None:
        """
        One stream, to its end.
        """
        question = {
            "create_request": {
                "key": encoded(self._first),
                "range_end": encoded(self._end),
                "start_revision": str(self.revision + 1),
                # So that the revision goes on where there are no events, and is not compacted away.
                "progress_notify": True,
            }
        }
        response, connections = await self._gateway.stream(endpoint, "/watch", question)
        stream = Stream(self._heard, connections)
        response.deliverBody(stream)

        def failed(failure: Failure) -> None:
            stream.stop(failure.value or CancelledError())

        pinging = Deferred.fromCoroutine(self._pings(endpoint)).addErrback(failed)
        try:
            await stream.ended
        finally:
            pinging.cancel()

    async def _pings(self, endpoint: str) -> None:
        while True:
            await self._gateway.pause(self._ping)
            answer = await self._gateway.ask(endpoint, "/kv/range", self._look(), self._ping)
            if _revision(answer) < self.revision:
                # A backup was put in its place: what comes in revisions that we believe to know would not be sent.
                raise Compacted

    def _heard(self, message: Mapping[str, Any]) -> None:
        if whole(message.get("compact_revision")):
            raise Compacted
        if message.get("canceled"):
            raise Unreached(str(message.get("cancel_reason") or "it has ended the watch"))
        header = message.get("header")
        if not isinstance(header, dict):
            raise Unreached("it has sent what is no message")
        known = self.revision
        events = message.get("events") or ()
        for each in events:
            event = Event(each.get("type") == "DELETE", Stored.parsed(each.get("kv") or {}))
            # Several may be of one revision.
            if event.stored.changed > known:
                self.revision = max(self.revision, event.stored.changed)
                self._told(event)
        # With events the header may be ahead of what was sent; so it is where a stream begins.
        if not events and not message.get("created"):
            self.revision = max(self.revision, _revision(message))


def _revision(message: Mapping[str, Any]) -> int:
    header = message.get("header")
    return whole(header.get("revision")) if isinstance(header, dict) else 0
