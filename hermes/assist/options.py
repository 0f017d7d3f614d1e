"""
What the options of assisting components have in common: validators, for attrs.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from hermes.assist.fetching import trustRoot

# What decides where a request goes, how it is framed, or who may ask is not for an answer to set.
_RESERVED: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)


def positive(instance: object, attribute: Any, value: float) -> None:
    """
    A duration that is not 0.
    """
    if value <= 0:
        raise ValueError("must be more than 0")


def ownFieldNames(instance: object, attribute: Any, value: tuple[str, ...]) -> None:
    """
    Names of HTTP fields that may be set on a request.
    """
    for each in value:
        if each in _RESERVED or each.startswith("hermes-"):
            raise ValueError(f"{each!r} can't be set: it is for the proxies themselves")


def httpURL(instance: object, attribute: Any, value: Any) -> None:
    """
    An C{http:} or C{https:} URL, or L{None}.
    """
    if value is None:
        return
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  # raises where it is no number
    except ValueError as error:
        raise ValueError(f"{value!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not value.isascii():
        raise ValueError(f"{value!r} is not a URL: write http://HOST:PORT/PATH, or https:")
    if parts.username is not None or parts.fragment:
        raise ValueError(f"{value!r}: a URL has neither a user nor a fragment here")


def certificates(instance: object, attribute: Any, value: str | None) -> None:
    """
    A file with certificates (PEM), or L{None}.
    """
    if value is not None:
        try:
            trustRoot(value)
        except (ValueError, OSError) as error:
            raise ValueError(f"{value}: {error}") from None
