"""
From the name of an object to that of its newest version: by its metadata (RDR, "Realtime Data Retrieval"), or, where
nobody publishes any, by whatever Data there is under the name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from hermes.ndn.app.client import Client
from hermes.ndn.app.errors import FetchFailed, InterestNack, InterestTimeout, NoSuchObject
from hermes.ndn.app.fetching import Verifier
from hermes.ndn.packet.component import SEGMENT, VERSION, isNumber, keyword
from hermes.ndn.packet.data import Data
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.tlv import readHead
from hermes.ndn.packet.typenumbers import CONTENT_NACK
from hermes.ndn.security.errors import Untrusted

METADATA = keyword(b"metadata")
"""
What comes after the object's name in that of its metadata.
"""

Discovery: TypeAlias = Literal["metadata", "prefix", "none"]
"""
By metadata, or else by prefix; by prefix only; the name is taken as it is.
"""

GRACE = 0.5
"""
Metadata is late when it has not come after so many seconds.
"""


@frozen
class Discovered:
    """
    @ivar prefix: what comes before the segment in the names of the segments.
    @ivar single: the object, where it is one packet that is no segment.
    @ivar segment: one of its segments, where that is what was found.
    @ivar metadata: its metadata, where that is what was found.
    """

    prefix: Name
    single: Data | None = None
    segment: Data | None = None
    metadata: Data | None = None


async def discover(
    client: Client,
    name: Name,
    lifetime: int,
    verifier: Verifier | None = None,
    how: Discovery = "metadata",
    retries: int = 3,
) -> Discovered:
    """
    Find what to fetch.

    @param name: of the object, with or without its version.
    @param lifetime: of each Interest, in milliseconds.
    @param retries: how often one is sent again that is not answered; -1 for as often as it takes.
    @raise AppError: if nothing is found.
    @raise Untrusted: from the verifier.
    """
    if how == "none" or (name and isNumber(name[-1], VERSION)):
        return Discovered(name)
    if not name:
        raise FetchFailed("/ is the name of everything: no object is called so")
    if how == "prefix":
        return await _byPrefix(client, name, lifetime, verifier, retries)
    return await _Race(
        client,
        lambda: Deferred.fromCoroutine(_byMetadata(client, name, lifetime, verifier, retries)),
        lambda: Deferred.fromCoroutine(_byPrefix(client, name, lifetime, verifier, retries)),
    ).outcome


class _Race:
    """
    Metadata has a start: it is fresher than other Data, and that is asked for once it is late, or there is none.

    @ivar outcome: fires with what is found first, or with why nothing is. It can be cancelled.
    """

    def __init__(
        self,
        client: Client,
        byMetadata: Callable[[], Deferred[Discovered]],
        byPrefix: Callable[[], Deferred[Discovered]],
    ) -> None:
        self.outcome: Deferred[Discovered] = Deferred(lambda _: self._end())
        self._byPrefix = byPrefix
        self._racers: list[Deferred[Discovered]] = []
        self._ended = False
        self._late: IDelayedCall | None = client.clock.callLater(GRACE, self._isLate)
        self._failure: Failure | None = None
        self._start(byMetadata)

    def _start(self, racer: Callable[[], Deferred[Discovered]]) -> None:
        deferred = racer()
        self._racers.append(deferred)
        deferred.addCallbacks(self._found, self._failed)

    def _isLate(self) -> None:
        self._late = None
        self._start(self._byPrefix)

    def _failed(self, failure: Failure) -> None:
        if self._ended:
            return
        if failure.check(NoSuchObject):
            self._found(failure)
            return
        if self._failure is not None:
            # That something was found and not believed is worse to hear than that nothing was.
            self._found(self._failure if self._failure.check(Untrusted) else failure)
            return
        self._failure = failure
        if self._late is not None:
            self._late.cancel()
            self._isLate()

    def _found(self, result: Discovered | Failure) -> None:
        if not self._ended:
            self._end()
            self.outcome.callback(result)

    def _end(self) -> None:
        self._ended = True
        if self._late is not None:
            self._late.cancel()
            self._late = None
        for each in self._racers:
            each.cancel()


async def _byMetadata(client: Client, name: Name, lifetime: int, verifier: Verifier | None, retries: int) -> Discovered:
    data = await _ask(client, name + METADATA, lifetime, verifier, retries)
    return Discovered(_target(name, data), metadata=data)


async def _byPrefix(client: Client, name: Name, lifetime: int, verifier: Verifier | None, retries: int) -> Discovered:
    data = await _ask(client, name, lifetime, verifier, retries)
    if len(data.name) > len(name) and data.name[len(name)] == METADATA:
        return Discovered(_target(name, data), metadata=data)
    if data.name and isNumber(data.name[-1], SEGMENT) and len(data.name) > len(name):
        return Discovered(data.name[:-1], segment=data)
    return Discovered(data.name, single=data)


def _target(name: Name, data: Data) -> Name:
    """
    What metadata points to.
    """
    if data.metaInfo.contentType == CONTENT_NACK:
        raise NoSuchObject(f"the producer has no {name}")
    try:
        target = Name.fromWire(_first(data.content))
    except PacketError as error:
        raise FetchFailed(f"the metadata of {name} is malformed: {error}") from error
    if not name.isPrefixOf(target):
        raise FetchFailed(f"the metadata of {name} points elsewhere, to {target}")
    return target


def _first(content: memoryview) -> memoryview:
    """
    The first element: other things may follow it.
    """
    return content[: readHead(content, 0, len(content))[2]]


async def _ask(client: Client, name: Name, lifetime: int, verifier: Verifier | None, retries: int) -> Data:
    """
    Data under a name, verified.
    """
    tries = 0
    while True:
        tries += 1
        try:
            data = await client.express(name, canBePrefix=True, mustBeFresh=True, lifetime=lifetime)
        except InterestTimeout:
            if 0 <= retries < tries:
                raise
        except InterestNack:
            # There may be a way in a moment: a face that comes up again, a producer that starts.
            if 0 <= retries < tries:
                raise
            await client.wait(0.1 * tries)
        else:
            if verifier is not None and not verifier.validateNow(data):
                await verifier.validate(data)
            return data
