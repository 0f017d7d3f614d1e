"""
Where responses are kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface

from hermes.assist.cache.stored import Key, StoredResponse
from hermes.interfaces import IBody
from hermes.values import Buffer


class IObjectStore(Interface):
    """
    Keeps responses, up to a number of bytes; those that nobody has asked for the longest make room.

    A body is an object of its own, whose name is the SHA-256 digest of its bytes: whoever knows it gets the object by
    L{byDigest}, whatever it was stored for. So a store can be shared with what is no cache of HTTP: the Content Store
    of an NDN forwarder, above all, which has digests of its own for names.

    What can't be read any more is not there: C{lookup} does not give it, and a body that is being read ends with
    C{bodyFailed}. Nothing else fails because a store does.
    """

    size = Attribute("C{int}: bytes that are stored, what is kept beside each body included.")
    objects = Attribute("C{int}: how many responses are stored.")
    evicted = Attribute("C{int}: how many have made room for others.")
    largest = Attribute("C{int}: how many bytes a body may have.")

    def lookup(key: Key) -> Deferred[Sequence[StoredResponse]]:
        """
        The responses of a key, complete or cut short, in no order.
        """

    def body(stored: StoredResponse, start: int, stop: int) -> IBody:
        """
        The bytes from C{start} up to C{stop} of the body of a response that L{lookup} gave. Where it is replaced or
        evicted meanwhile, it can be read on.
        """

    def writer(stored: StoredResponse, filler: IObjectFiller) -> IObjectWriter:
        """
        Begin to store a response. Nobody else finds it before it is committed.
        """

    def replace(stored: StoredResponse, renewed: StoredResponse) -> Deferred[None]:
        """
        Give a stored response another head. Nothing happens where it is not stored any more.
        """

    def remove(stored: StoredResponse) -> Deferred[None]:
        """
        Forget a response.
        """

    def invalidate(url: bytes) -> Deferred[int]:
        """
        Forget what is stored for a URL, in every scope; fires with how many responses that were.
        """

    def purge(prefix: bytes) -> Deferred[int]:
        """
        Forget what is stored for all URLs that begin so; fires with how many responses that were.
        """

    def byDigest(digest: bytes) -> Deferred[IBody | None]:
        """
        The object whose bytes have this SHA-256 digest (32 bytes), or L{None}.
        """

    def close() -> Deferred[None]:
        """
        Write what is to be written, and let go of files and threads. Nothing is called afterwards.
        """


class IObjectWriter(Interface):
    """
    A response on its way into a store.
    """

    def write(data: bytes) -> bool:
        """
        The next piece. L{False} asks to write no more until C{IObjectFiller.writerReady}.
        """

    def read(start: int, size: int) -> Buffer | Deferred[Buffer]:
        """
        At most C{size} bytes, at least one, of those that were written; before and after L{commit} and L{abandon}.
        """

    def commit() -> Deferred[None]:
        """
        That was all: store it, in place of one with the same key and the same selecting fields. Sets C{length} and
        C{digest} of the response. C{total} may be more than was written: a body that was cut short. Always fires with
        L{None}.
        """

    def abandon() -> None:
        """
        Do not store it.
        """

    def release() -> None:
        """
        Nobody reads here any more. Called once, after L{commit} or L{abandon}.
        """


class IObjectFiller(Interface):
    """
    Who writes to an L{IObjectWriter}.
    """

    def writerReady() -> None:
        """
        It takes more again. Not called from within C{write}.
        """

    def writerFailed(reason: Failure) -> None:
        """
        It can't store this one; what was written, the piece that is being written included, can be read on. Called at
        most once, perhaps from within C{write}, and not after C{abandon} or C{commit}.
        """
