"""
Key sets that change while they are used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hermes.assist.sharing import Shared
from hermes.assist.signingkeys import SigningKey, parseKeys
from hermes.errors import FlowError, HermesError

PAUSE: Final = 10.0
"""
Seconds between two attempts to get keys, whatever asks for them.
"""

KEEP: Final = 86_400.0
"""
Seconds for which keys are used whose source does not answer any more.
"""


class KeysUnavailable(FlowError):
    """
    There are no keys to check a token with.
    """

    status = 503
    proxyStatus = "destination_unavailable"


class KeySet:
    """
    Keys that come from somewhere, and are asked for again: when they are older than an interval, while those there are
    go on being used; and when a token names one that is not among them. Nothing is asked unless tokens come.

    @ivar version: a number that changes with the keys.
    @ivar failure: why the last attempt failed, in words; L{None} where it did not.
    """

    log = Logger()

    def __init__(
        self,
        load: Callable[[], bytes | Deferred[bytes]],
        source: str,
        clock: IReactorTime,
        interval: float = 300.0,
        pause: float = PAUSE,
        keep: float = KEEP,
    ) -> None:
        """
        @param load: gets the bytes that L{parseKeys} reads.
        @param source: where from, for the log.
        @param interval: seconds.
        @param pause: seconds between two attempts.
        @param keep: seconds for which keys are used after the last attempt that succeeded.
        """
        self.version = 0
        self.failure: str | None = None
        self._load = load
        self._source = source
        self._clock = clock
        self._interval = interval
        self._pause = pause
        self._keep = keep
        self._keys: tuple[SigningKey, ...] = ()
        self._data = b""
        self._loadedAt = 0.0
        self._triedAt: float | None = None
        self._loading: Shared[None] | None = None

    def due(self) -> Deferred[None] | None:
        """
        To be called before keys are used: asks for them where it is time to.

        @return: L{None} where those there are may be used; else what fires, never with a failure, when that is known.
        """
        age = self._clock.seconds() - self._loadedAt
        if self._keys and age < self._interval:
            return None
        renewing = self.renew()
        if self._keys and age >= self._keep:
            self.log.warn("{source}: the keys are too old to be used", source=self._source)
            self._replace((), b"")
        # Keys a little too old are used while new ones are on their way; much too old, their source is waited for.
        return None if self._keys and age < 2 * self._interval else renewing

    def renew(self) -> Deferred[None] | None:
        """
        Ask for the keys, unless that was done just now.

        @return: what fires, never with a failure, once it was tried; L{None} where nothing is under way.
        """
        if self._loading is None:
            now = self._clock.seconds()
            if self._triedAt is not None and now - self._triedAt < self._pause:
                return None
            self._triedAt = now
            loading = Deferred.fromCoroutine(self._attempt())
            shared: Shared[None] = Shared(loading)
            if not shared.done:
                self._loading = shared
                loading.addBoth(self._settled)
                # Who waits may go away; the keys are for others too.
                shared.wait()
            return shared.wait()
        return self._loading.wait()

    def find(self, name: str | None, algorithm: str) -> list[SigningKey]:
        """
        The keys that a token may be signed with that names this one, or none.

        @raise KeysUnavailable: where there are none at all.
        """
        if not self._keys:
            raise KeysUnavailable("the keys that tokens are checked with can't be had")
        return [key for key in self._keys if algorithm in key.algorithms and (name is None or key.name in (None, name))]

    async def _attempt(self) -> None:
        try:
            loaded = self._load()
            self._loaded(await loaded if isinstance(loaded, Deferred) else loaded)
        except (HermesError, OSError) as error:
            self.failure = str(error)
            self.log.warn("{source}: no keys: {reason}", source=self._source, reason=self.failure)
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
            self.log.failure("{source}: getting keys failed", source=self._source)

    def _loaded(self, data: bytes) -> None:
        keys = self._keys if data == self._data and self._keys else parseKeys(data)
        self._loadedAt = self._clock.seconds()
        self.failure = None
        if keys is not self._keys:
            self._replace(keys, data)
            self.log.info("{source}: {count} keys", source=self._source, count=len(keys))

    def _replace(self, keys: tuple[SigningKey, ...], data: bytes) -> None:
        self.version += 1
        self._keys = keys
        self._data = data

    def _settled(self, result: None) -> None:
        self._loading = None
        return result


class FixedKeys:
    """
    A secret: one key that stays.
    """

    version = 0
    failure = None

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    def due(self) -> Deferred[None] | None:
        """
        See L{KeySet.due}.
        """
        return None

    def renew(self) -> Deferred[None] | None:
        """
        See L{KeySet.renew}.
        """
        return None

    def find(self, name: str | None, algorithm: str) -> list[SigningKey]:
        """
        See L{KeySet.find}.
        """
        return [self._key] if algorithm in self._key.algorithms else []
