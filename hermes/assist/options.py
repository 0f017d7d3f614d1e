"""
What the options of assisting components have in common: validators, for attrs.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)

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


def fieldName(instance: object, attribute: Any, value: str | None) -> None:
    """
    The name of an HTTP field, or L{None}.
    """
    if value is not None and not _TOKEN.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of an HTTP field")


def fieldNames(instance: object, attribute: Any, value: tuple[str, ...]) -> None:
    """
    Names of HTTP fields.
    """
    for each in value:
        fieldName(instance, attribute, each)


def ownFieldNames(instance: object, attribute: Any, value: tuple[str, ...]) -> None:
    """
    Names of HTTP fields that may be set on a request.
    """
    for each in value:
        fieldName(instance, attribute, each)
        if each.lower() in _RESERVED or each.lower().startswith("hermes-"):
            raise ValueError(f"{each!r} can't be set: it is for the proxies themselves")


def httpURL(instance: object, attribute: Any, value: str | None) -> None:
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


def encoded(names: tuple[str, ...]) -> tuple[bytes, ...]:
    """
    Names of fields as heads have them.
    """
    return tuple(name.lower().encode("ascii") for name in names)
