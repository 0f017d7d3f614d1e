"""
The Retry-After field (RFC 9110 section 10.2.3).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from hermes.values import ResponseHead

_FORMATS: Final = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
_MAX_DIGITS: Final = 9
_MAX_DATE: Final = 64
_CENTURY: Final = 50


def parseDate(value: bytes, now: float) -> float | None:
    """
    An HTTP-date in any of its three formats (RFC 9110 section 5.6.7), in seconds since 1970; L{None} where it is none.

    @param now: in seconds since 1970, for the format that gives two digits of the year.
    """
    if len(value) > _MAX_DATE or not value.isascii():
        return None
    text = " ".join(value.decode("ascii").split())
    for form in _FORMATS:
        try:
            date = datetime.strptime(text, form)
        except ValueError:
            continue
        if "%y" in form:
            # More than 50 years in the future is meant as the past.
            year = date.year % 100
            this = datetime.fromtimestamp(now, UTC).year
            year += this - this % 100
            if year > this + _CENTURY:
                year -= 100
            try:
                date = date.replace(year=year)
            except ValueError:
                return None
        return date.replace(tzinfo=UTC).timestamp()
    return None


def retryAfter(head: ResponseHead, now: float) -> float | None:
    """
    How many seconds from now a response asks to be left alone; L{None} where it does not. A date is compared with the
    response's own C{Date}, so that no two clocks need agree.

    @param now: in seconds since 1970.
    """
    value = head.get(b"retry-after")
    if value is None:
        return None
    if value.isdigit():
        return float(value) if len(value) <= _MAX_DIGITS else float(10**_MAX_DIGITS)
    date = parseDate(value, now)
    if date is None:
        return None
    own = head.get(b"date")
    sent = None if own is None else parseDate(own, now)
    return max(0.0, date - (now if sent is None else sent))
