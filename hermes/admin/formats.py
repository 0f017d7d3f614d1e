"""
Lines of the access log for HTTP exchanges, made by hand: there is one for each, and a proxy has thousands a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring_ascii as quoted
from time import gmtime, strftime
from typing import Any, Final

from hermes.admin.entries import readable, traceID, withoutQuery, withoutUserinfo

MAX_CACHED: Final = 4096
"""
Parts of lines that are kept rendered, of each kind.
"""

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNSAFE: Final = re.compile(r'[^\x21-\x7e]|["\\]')
_UNSAFE_OR_SPACE: Final = re.compile(r'[^\x20-\x7e]|["\\]')


class JSONLines:
    """
    Lines of JSON that say what L{hermes.admin.entries.describeRequest} says.
    """

    def __init__(self, now: Callable[[], float], query: bool = True) -> None:
        """
        @param now: seconds since 1970.
        @param query: whether a path's query is told.
        """
        self._now = now
        self._query = query
        self._second = -1
        self._stamp = ""
        self._places: dict[Any, str] = {}
        self._heads: dict[Any, str] = {}

    def line(self, record: Any) -> str:
        """
        @param record: a L{hermes.messages.RequestRecord}.
        """
        now = self._now()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
        flow, head = record.flow, record.head
        try:
            place = self._places[flow.listener, record.routeName, record.upstream, record.endpoint, record.hops]
        except KeyError:
            place = self._place(record)
        try:
            start = self._heads[record.version, head.method, head.scheme, head.authority, head.protocol]
        except KeyError:
            start = self._head(record)
        path = quoted(readable(head.path if self._query else withoutQuery(head.path)))
        source, identity = flow.source, flow.identity
        if source is None:
            origin = "null"
        else:
            host, port = source
            origin = f'"[{host}]:{port}"' if ":" in host else f'"{host}:{port}"'
        user, node, first, trace = identity.user, identity.node, record.firstByteSeconds, traceID(record)
        user = "null" if user is None else quoted(user)
        node = "null" if node is None else quoted(node)
        firstByte = "null" if first is None else f"{first:.6f}"
        trace = "null" if trace is None else quoted(trace)
        retries = _strings(record.retries) if record.retries else "[]"
        error = "" if record.error is None else _error(record)
        return (
            f'{{"time": "{self._stamp}.{int((now - second) * 1000):03d}+00:00", {place}, {start}, '
            f'"path": {path}, "source": {origin}, "user": {user}, "node": {node}, '
            f'"status": {record.status}, "bytesIn": {record.bytesIn}, "bytesOut": {record.bytesOut}, '
            f'"seconds": {record.seconds:.6f}, "firstByteSeconds": {firstByte}, '
            f'"tries": {record.tries}, "retries": {retries}, "resumed": {record.resumed}, "cache": "{record.cache}", '
            f'"traceID": {trace}{error}, "event": "request"}}\n'
        )

    def _place(self, record: Any) -> str:
        key = record.flow.listener, record.routeName, record.upstream, record.endpoint, record.hops
        listener, route, upstream, endpoint = map(quoted, key[:4])
        return _keep(
            self._places,
            key,
            f'"listener": {listener}, "route": {route}, "upstream": {upstream}, "endpoint": {endpoint}, '
            f'"hops": {_strings(record.hops)}',
        )

    def _head(self, record: Any) -> str:
        head = record.head
        method, scheme, authority, protocol = (
            quoted(readable(value))
            for value in (
                head.method,
                head.scheme,
                withoutUserinfo(head.authority),
                b"http" if head.protocol is None else head.protocol,
            )
        )
        return _keep(
            self._heads,
            (record.version, head.method, head.scheme, head.authority, head.protocol),
            f'"version": {quoted(record.version)}, "method": {method}, "scheme": {scheme}, "authority": {authority}, '
            f'"protocol": {protocol}',
        )


class CommonLines:
    """
    Lines in the Common Log Format, as Apache and others write it: host, C{-}, user, time, request, status, bytes. The
    request's target is always a whole URI: otherwise nobody would see which host was meant.
    """

    def __init__(self, now: Callable[[], float], query: bool = True, combined: bool = False) -> None:
        """
        @param now: seconds since 1970.
        @param query: whether a path's query is told, and the referrer's.
        @param combined: whether C{Referer} and C{User-Agent} follow: the Combined Log Format.
        """
        self._now = now
        self._query = query
        self._combined = combined
        self._second = -1
        self._stamp = ""

    def line(self, record: Any) -> str:
        """
        @param record: a L{hermes.messages.RequestRecord}.
        """
        head = record.head
        method = head.method
        if head.protocol is not None and record.version == "1.1":
            # An Upgrade, as it was sent.
            method = b"GET"
        path = head.path if self._query else withoutQuery(head.path)
        uri = b"%b://%b%b" % (head.scheme, withoutUserinfo(head.authority), path)
        request = f"{_plain(method)} {_plain(uri)} HTTP/{'2.0' if record.version == '2' else record.version}"
        if not self._combined:
            return self._line(record, request, record.status, "\n")
        referrer = head.get(b"referer") or b"-"
        if not self._query:
            referrer = withoutQuery(referrer)
        agent = head.get(b"user-agent") or b"-"
        return self._line(record, request, record.status, f' "{_plain(referrer, True)}" "{_plain(agent, True)}"\n')

    def flowLine(self, record: Any, opened: bool) -> str:
        """
        A line for a flow: as a CONNECT to its target, with its protocol in the place of HTTP's.

        @param record: a L{hermes.fabric.record.FlowRecord}.
        @param opened: whether its far side was up.
        """
        request = f"CONNECT {_plain(str(record.flow.target).encode())} {record.flow.protocol.upper()}"
        return self._line(record, request, 200 if opened else record.status, ' "-" "-"\n' if self._combined else "\n")

    def _line(self, record: Any, request: str, status: int, rest: str) -> str:
        second = int(self._now())
        if second != self._second:
            self._second = second
            time = gmtime(second)
            # Not by strftime: its months are those of a locale.
            self._stamp = strftime(f"%d/{_MONTHS[time.tm_mon - 1]}/%Y:%H:%M:%S +0000", time)
        flow = record.flow
        identity = flow.identity
        user = identity.user or identity.node
        host = "-" if flow.source is None else flow.source[0]
        who = "-" if user is None else _plain(user.encode())
        return f'{host} - {who} [{self._stamp}] "{request}" {status or "-"} {record.bytesOut or "-"}{rest}'


def _keep(cache: dict[Any, str], key: Any, text: str) -> str:
    if len(cache) >= MAX_CACHED:
        cache.clear()
    cache[key] = text
    return text


def _strings(texts: Iterable[str]) -> str:
    return f"[{', '.join(quoted(str(text)) for text in texts)}]"


def _error(record: Any) -> str:
    status = record.proxyStatus
    return f', "error": {quoted(record.error)}, "proxyStatus": {"null" if status is None else quoted(status)}'


def _plain(data: bytes, spaces: bool = False) -> str:
    """
    What whoever sent it can't end a field or a line with: C{\\xhh} stands for the rest, as Apache writes it.

    @param spaces: whether a space may stay.
    """
    text = data.decode("latin-1")
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text and (spaces or " " not in text):
        return text
    return (_UNSAFE_OR_SPACE if spaces else _UNSAFE).sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    return f"\\{character}" if character in '"\\' else f"\\x{ord(character):02x}"
