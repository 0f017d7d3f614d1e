"""
Who asks, and what that one may: of the operator's interface.

Over the Unix socket whoever may open it is an operator. Over HTTPS anybody may look, and who has the token may change
things: with C{Authorization: Bearer}, or with the cookie that the page gives for it. A browser sends a cookie to
whatever page makes it; so a change by cookie needs the word that only our own page knows (CSRF).
"""

from __future__ import annotations

import hmac
import pwd
import secrets
import socket
import struct
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from attrs import define, frozen
from twisted.web.server import Request

COOKIE: Final = b"hermes-session"
FIELD: Final = b"x-csrf-token"
LASTS: Final = 12 * 3600.0
"""
Seconds that a session lasts.
"""

MAX_SESSIONS: Final = 256


@frozen
class Actor:
    """
    Who asks.

    @ivar name: for the audit log.
    @ivar origin: where from.
    @ivar mayChange: whether it may change anything.
    @ivar csrf: the word for the page's own forms; empty where there is no session.
    """

    name: str
    origin: str
    mayChange: bool = False
    csrf: str = ""


@define
class _Session:
    name: str
    csrf: str
    until: float


def digest(token: str) -> str:
    """
    What is kept of a token.
    """
    return sha256(token.encode()).hexdigest()


def newToken() -> str:
    """
    A token for an operator: 256 bits.
    """
    return secrets.token_urlsafe(32)


class Access:
    """
    Knows the operators.
    """

    def __init__(self, tokens: Callable[[], dict[str, str]], seconds: Callable[[], float]) -> None:
        """
        @param tokens: names of operators by the L{digest} of their token.
        @param seconds: tells time that never jumps.
        """
        self._tokens = tokens
        self._seconds = seconds
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def actor(self, request: Request, local: bool) -> Actor:
        """
        @param local: whether it came over the Unix socket.
        """
        if local:
            return Actor(*_local(request), mayChange=True)
        origin = _peer(request)
        header = request.getHeader(b"authorization") or b""
        scheme, _, token = header.partition(b" ")
        if scheme.lower() == b"bearer":
            name = self.named(token.strip().decode("ascii", "replace"))
            return Actor(name or "nobody", origin, name is not None)
        session = self._session(request)
        if session is None:
            return Actor("nobody", origin)
        given = request.getHeader(FIELD) or (request.args or {}).get(b"csrf", [b""])[0]
        proven = hmac.compare_digest(given, session.csrf.encode())
        return Actor(session.name, origin, proven, session.csrf)

    def named(self, token: str) -> str | None:
        """
        Whose token it is. The comparison takes the same time for every wrong one.
        """
        given, found = digest(token), None
        for known, name in self._tokens().items():
            if hmac.compare_digest(given, known):
                found = name
        return found

    def logIn(self, request: Request, token: str) -> bool:
        """
        Give the browser a session for a token.
        """
        name = self.named(token)
        if name is None:
            return False
        word = secrets.token_urlsafe(32)
        self._sessions[digest(word)] = _Session(name, secrets.token_urlsafe(24), self._seconds() + LASTS)
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        request.addCookie(
            COOKIE, word.encode(), path=b"/", secure=True, httpOnly=True, sameSite=b"strict", max_age=b"%d" % int(LASTS)
        )
        return True

    def logOut(self, request: Request) -> None:
        """
        End the browser's session.
        """
        self._sessions.pop(digest((request.getCookie(COOKIE) or b"").decode("ascii", "replace")), None)
        request.addCookie(COOKIE, b"", path=b"/", secure=True, httpOnly=True, sameSite=b"strict", max_age=b"0")

    def _session(self, request: Request) -> _Session | None:
        word = request.getCookie(COOKIE)
        if not word:
            return None
        key = digest(word.decode("ascii", "replace"))
        session = self._sessions.get(key)
        if session is not None and session.until <= self._seconds():
            del self._sessions[key]
            return None
        return session


def _peer(request: Request) -> str:
    host = getattr(request.getClientAddress(), "host", "")
    return str(host or "")


def _local(request: Request) -> tuple[str, str]:
    """
    The user at the other end of the Unix socket, as the kernel says.
    """
    transport: Any = getattr(request.channel, "transport", None)
    found: Any = getattr(transport, "getHandle", lambda: None)()
    if found is None:
        return "operator", "local"
    try:
        _, uid, _ = struct.unpack("3i", found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except (OSError, AttributeError, struct.error):
        return "operator", "local"
    try:
        return pwd.getpwuid(uid).pw_name, "local"
    except KeyError:
        return f"uid {uid}", "local"
