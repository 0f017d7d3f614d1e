"""
What one end of a connection takes from the other.
"""

from __future__ import annotations

from attrs import frozen

KIB = 1024
MIB = 1024 * KIB


@frozen
class Limits:
    """
    Bounds of one connection. Whoever exceeds one that has no error of its own loses the connection.

    @ivar message: bytes of one expression of Banana, once it is known who the peer is. Perspective Broker has a bound
        of its own, 640 KiB for each string, that other implementations enforce.
    @ivar firstMessage: the same before that.
    @ivar depth: how deep lists are nested in one.
    @ivar items: how many items one has, in all lists together: an empty list is two bytes on the wire and fifty in
        memory.
    @ivar inline: bytes of arguments or of a result, encoded: what is larger is sent in pages.
    @ivar page: bytes of one page; well below C{inline}.
    @ivar total: bytes of what is sent in pages, of all that is under way on the connection, in one direction.
    @ivar totalItems: as C{items}, of one value that is sent in pages.
    @ivar calls: how many calls of the peer may be unanswered at once.
    @ivar asked: how many of ours may be; one more fails.
    @ivar objects: how many of our objects the peer may have at once.
    @ivar unread: bytes that the peer may leave unread.
    @ivar answerTime: seconds until a call has failed, unless the call says otherwise.
    @ivar pageTime: seconds that one page may take.
    """

    message: int = 512 * KIB
    firstMessage: int = 64 * KIB
    depth: int = 64
    items: int = 65_536
    inline: int = 256 * KIB
    page: int = 128 * KIB
    total: int = 64 * MIB
    totalItems: int = 1_000_000
    calls: int = 64
    asked: int = 1024
    objects: int = 256
    unread: int = 4 * MIB
    answerTime: float = 60.0
    pageTime: float = 30.0


DEFAULT = Limits()
