"""
What the kernel says when a connection can't be made, as the errors that a flow ends with.
"""

from __future__ import annotations

from errno import (
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    ECONNREFUSED,
    ECONNRESET,
    EHOSTDOWN,
    EHOSTUNREACH,
    EINVAL,
    EMFILE,
    ENETDOWN,
    ENETUNREACH,
    ENFILE,
    ENOBUFS,
    ENOENT,
    ENOMEM,
    ETIMEDOUT,
)

from twisted.internet.error import ConnectionClosed, ConnectionRefusedError, TimeoutError

from hermes.errors import FlowError, HopUnavailable, Overloaded, TargetRefused, TargetTimeout, TargetUnreachable

REFUSED = frozenset({ECONNREFUSED, ECONNRESET, ENOENT})
EXHAUSTED = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})
UNREACHABLE = frozenset({EADDRNOTAVAIL, EAFNOSUPPORT, EHOSTDOWN, EHOSTUNREACH, EINVAL, ENETDOWN, ENETUNREACH})


def flowError(error: BaseException | None, what: str) -> FlowError:
    """
    @param error: what a connection attempt failed with (a L{Failure}'s C{value}).
    @param what: what was to be connected to, as the peer asked for it: it is told no more.
    """
    if isinstance(error, FlowError):
        return error
    if isinstance(error, TimeoutError):
        return TargetTimeout(f"{what} did not answer in time")
    if isinstance(error, ConnectionRefusedError):
        return TargetRefused(f"{what} refused the connection")
    if isinstance(error, ConnectionClosed):
        return HopUnavailable(f"{what} closed the connection")
    number = getattr(error, "osError", None) or getattr(error, "errno", None)
    if number in REFUSED:
        return TargetRefused(f"{what} refused the connection")
    if number == ETIMEDOUT:
        return TargetTimeout(f"{what} did not answer in time")
    if number in EXHAUSTED:
        return Overloaded("out of sockets")
    if number in UNREACHABLE:
        return TargetUnreachable(f"there is no way to {what}")
    return HopUnavailable(f"{what} can't be connected to")
