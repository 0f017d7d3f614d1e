"""
What etcd's answers mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import CancelledError, TimeoutError

from hermes.control.store.errors import StoreError, StoreFull, StoreRefused, ValueTooLarge

# Codes of gRPC. With any other than these, another member may do better.
_INVALID, _NOT_FOUND, _DENIED, _EXHAUSTED, _PRECONDITION = 3, 5, 7, 8, 9
_OUT_OF_RANGE, _UNAUTHENTICATED = 11, 16
_FINAL: Final = frozenset({_INVALID, _NOT_FOUND, _PRECONDITION, _OUT_OF_RANGE})


class Unreached(Exception):
    """
    This member did not answer, or can't do it now. Whether it did what it was asked is not known.
    """


class Denied(Exception):
    """
    etcd does not take the token that was shown, or none was.
    """


class EtcdError(StoreError):
    """
    etcd answered with an error, and any other member would too.

    @ivar code: of gRPC: 5 for what was not found, 11 for a revision that there is not.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code

    @property
    def notFound(self) -> bool:
        """
        There is none, of a lease.
        """
        return self.code == _NOT_FOUND

    @property
    def disabled(self) -> bool:
        """
        It is not enabled, of authentication.
        """
        return self.code == _PRECONDITION


def errorOf(answer: Mapping[str, Any], status: int) -> Exception:
    """
    What an answer that is an error means.
    """
    code = answer.get("code", answer.get("grpc_code"))
    message = answer.get("message") or answer.get("error") or f"status {status}"
    text = str(message).removeprefix("etcdserver: ")
    if code == _UNAUTHENTICATED or "user name is empty" in text:
        return Denied(text)
    if code == _DENIED:
        return StoreRefused(
            f"etcd refuses: {text}. The user needs a role that may read and write all keys of the overlay"
        )
    if code == _EXHAUSTED and "space exceeded" in text:
        return StoreFull(
            f"etcd is full ({text}); nothing was changed. Compact and defragment it, or raise its quota, and disarm "
            "the alarm: etcdctl alarm disarm"
        )
    if code == _INVALID and "too large" in text:
        return ValueTooLarge(f"etcd: {text}")
    if isinstance(code, int) and code in _FINAL:
        return EtcdError(code, f"etcd: {text}")
    return Unreached(text)


def whyNot(error: BaseException | None) -> str:
    """
    A failure to reach somebody, in a few words.
    """
    reasons = getattr(error, "reasons", None)
    if reasons:
        return whyNot(reasons[-1].value)
    if isinstance(error, TimeoutError | CancelledError):
        return "it did not answer in time"
    arguments = error.args[0] if error is not None and error.args else None
    # Of OpenSSL: [(library, function, reason)].
    if isinstance(arguments, list) and arguments and isinstance(arguments[0], tuple):
        return f"TLS: {arguments[0][-1]}"
    return str(error) or type(error).__name__
