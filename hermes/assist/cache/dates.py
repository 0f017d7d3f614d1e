"""
Dates in HTTP fields (RFC 9110 section 5.6.7).
"""

from __future__ import annotations

import re
from calendar import timegm
from functools import lru_cache
from time import gmtime

_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}

_TIME = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_FORMS = (
    re.compile(rb"[a-z]{3}, (?P<day>\d\d) (?P<month>[a-z]{3}) (?P<year>\d{4}) " + _TIME + rb" gmt", re.I),
    re.compile(rb"[a-z]{6,9}, (?P<day>\d\d)-(?P<month>[a-z]{3})-(?P<year>\d\d) " + _TIME + rb" gmt", re.I),
    re.compile(rb"[a-z]{3} (?P<month>[a-z]{3}) (?P<day>[ \d]\d) " + _TIME + rb" (?P<year>\d{4})", re.I),
)


@lru_cache(4096)
def parseDate(value: bytes, thisYear: int | None = None) -> float | None:
    """
    An HTTP date in any of its three forms, in seconds of the epoch; L{None} where it is none.

    @param thisYear: the year that a year of two digits lies at most fifty years after; the present one where L{None}.
    """
    for form in _FORMS:
        match = form.fullmatch(value)
        if match is not None:
            break
    else:
        return None
    month = _MONTH.get(match["month"].lower())
    day, hour, minute, second = (int(match[part]) for part in ("day", "hour", "minute", "second"))
    year = int(match["year"])
    if len(match["year"]) == 2:
        present = gmtime().tm_year if thisYear is None else thisYear
        year += present - present % 100
        if year > present + 50:
            year -= 100
    # Sixty is for leap seconds.
    if month is None or not 1 <= day <= 31 or hour > 23 or minute > 59 or second > 60 or year < 1:
        return None
    try:
        return float(timegm((year, month, day, hour, minute, second, 0, 0, 0)))
    except ValueError:
        return None


@lru_cache(256)
def writeDate(seconds: int) -> bytes:
    """
    The IMF-fixdate of whole seconds of the epoch.
    """
    when = gmtime(seconds)
    return b"%s, %02d %s %04d %02d:%02d:%02d GMT" % (
        _DAYS[when.tm_wday],
        when.tm_mday,
        _MONTHS[when.tm_mon - 1],
        when.tm_year,
        when.tm_hour,
        when.tm_min,
        when.tm_sec,
    )
