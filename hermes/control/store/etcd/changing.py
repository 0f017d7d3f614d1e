"""
Read, change, write, with nobody between; and whoever does not hear the answer finds out what became of it.
"""

from __future__ import annotations

from collections.abc import Callable

from hermes.control.store.etcd.space import Space, Stored, delete, get, put, unchanged


async def change(
    space: Space, key: bytes, make: Callable[[Stored | None], bytes | None], known: Stored | None = None
) -> bytes | None:
    """
    Write one key.

    @param make: what to write in place of what is there; L{None} to leave it. What it returns must be what nobody else
        writes: where the answer to a write is lost and it is asked for again, that tells whether it was done.
    @param known: what was read of it before: where that is still there it is not read again.
    @return: what was written, or L{None}.
    """
    if known is None:
        known = await space.one(key)
    while True:
        wanted = make(known)
        if wanted is None:
            return None
        done = await space.transact([unchanged(key, known)], [put(key, wanted)], [get(key)])
        if done.succeeded:
            return wanted
        known = done.one(0)
        if known is not None and known.value == wanted:
            return wanted


async def remove(space: Space, known: Stored | None) -> bool:
    """
    Remove a key, as it was read. One that is written meanwhile is read anew, and removed all the same.

    @return: whether it was there.
    """
    first = known
    while known is not None:
        done = await space.transact([unchanged(known.key, known)], [delete(known.key)], [get(known.key)])
        if done.succeeded:
            return True
        known = done.one(0)
    # Gone: by this, where the answer was lost, or by somebody else.
    return first is not None
