"""
What is configured of a cache.
"""

from __future__ import annotations

from typing import Final, Literal

from attrs import field, frozen
from attrs.validators import ge, le

from hermes.assist.cache.freshness import Rules
from hermes.config.problems import Misfit
from hermes.config.types import Name, NewFile, Seconds, Size

DEFAULT_SIZE: Final = Size(64 << 20)
DEFAULT_LARGEST: Final = Size(16 << 20)
DEFAULT_HEURISTIC_MOST: Final = Seconds(86400.0)
DEFAULT_COLLAPSE: Final = Seconds(10.0)
_NONE: Final = Seconds(0.0)


@frozen
class CacheOptions:
    """
    A shared cache (RFC 9111).

    @ivar store: where responses are kept.
    @ivar path: the file of the store on disk, which the workers of a node share. Beside it are files of the same name
        with C{-wal} and C{-shm}.
    @ivar size: how much is kept; what nobody has asked for the longest makes room. In memory, that is for each worker.
    @ivar largest: a larger body is not stored.
    @ivar heuristic: a response that does not say for how long it is fresh counts as fresh for this part of the time
        since its last change; C{0} for not at all.
    @ivar heuristicMost: and at most for so long.
    @ivar staleWhileRevalidate: for how long a stale response is used while it is validated, where it does not say so
        itself.
    @ivar staleIfError: for how long a stale response is used while its origin fails, where it does not say so itself.
    @ivar collapse: for how long a request waits for the answer to another one for the same before it is sent, too;
        C{0} for not at all.
    @ivar finish: whether a body is fetched to its end though nobody waits for it any more. Otherwise what is there of
        it is kept, where it has a strong validator, and completed when somebody asks.
    @ivar by: for whom responses are kept apart: for each C{user}, for each C{route}.
    @ivar purge: the users whose requests with the method C{PURGE} remove what is stored for a URL, or for all that
        begin so where its path ends in C{*}.
    @ivar cacheStatus: what a response tells about it in C{cache-status} (RFC 9211); C{full} tells the key, too.
    """

    store: Literal["memory", "disk"] = "memory"
    path: NewFile | None = None
    size: Size = DEFAULT_SIZE
    largest: Size = DEFAULT_LARGEST
    heuristic: float = field(default=0.1, validator=[ge(0), le(1)])
    heuristicMost: Seconds = DEFAULT_HEURISTIC_MOST
    staleWhileRevalidate: Seconds = _NONE
    staleIfError: Seconds = _NONE
    collapse: Seconds = DEFAULT_COLLAPSE
    finish: bool = False
    by: tuple[Literal["user", "route"], ...] = ()
    purge: tuple[Name, ...] = ()
    cacheStatus: Literal["none", "short", "full"] = "short"

    def __attrs_post_init__(self) -> None:
        if self.store == "disk" and self.path in (None, "-"):
            raise Misfit("a store on disk needs a 'path'", below=("path",))
        if self.store == "memory" and self.path is not None:
            raise Misfit("a store in memory has no 'path'", "write store: disk", ("path",))
        if self.largest > self.size:
            raise Misfit("larger than 'size'", below=("largest",))


def rulesOf(options: CacheOptions) -> Rules:
    """
    What a cache with these options supposes.
    """
    return Rules(options.heuristic, options.heuristicMost, options.staleWhileRevalidate, options.staleIfError)
