"""
Who asks, and what that one may: of the operator's interface.

Over the Unix socket whoever may open it is an operator. Over HTTPS anybody may look, and who has the token may change
things: with C{Authorization: Bearer}, or with the cookie that the page gives for it. A browser sends a cookie to
whatever page makes it; so a change by cookie needs the word that only our own page knows (CSRF).

A browser may get at the Unix socket too, where somebody forwards a port to it. So what a browser sends there is
believed only where it says that it was our own page that made it, under a name that nobody else can have.
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

from hermes.control.errors import ControlError
from hermes.control.operator.attempts import Attempts

COOKIE: Final = b"__Host-hermes-session"
"""
Browsers take a cookie with such a name only over HTTPS, and only from the very host that it is for.
"""

FIELD: Final = b"x-csrf-token"
LASTS: Final = 12 * 3600.0
"""
Seconds that a session lasts.
"""

MAX_SESSIONS: Final = 256
WRONG: Final = 10
WRONG_AGAIN: Final = 6.0
"""
How many wrong tokens a source may send, and seconds until it may send one more.
"""

NOBODY: Final = "nobody"
LOCAL_HOSTS: Final = frozenset({b"controller", b"localhost", b"127.0.0.1", b"[::1]", b""})
"""
The names under which the Unix socket is asked, with C{hermes} or through a port forwarded to it. Another one in a
browser's request is somebody's who has his name resolve to this machine.
"""


class Unauthorized(ControlError):
    """
    The token is wrong.
    """


class TooMany(ControlError):
    """
    Too much from one source.

    @ivar wait: seconds until it may try again.
    """

    def __init__(self, message: str, wait: int) -> None:
        super().__init__(f"{message}: try again in {wait} s")
        self.wait = wait


@frozen
class Actor:
    """
    Who asks.

    @ivar name: for the audit log.
    @ivar origin: where from.
    @ivar mayChange: whether it may change anything with this request.
    @ivar csrf: the word for the page's own forms; empty where it may change nothing by them.
    """

    name: str
    origin: str
    mayChange: bool = False
    csrf: str = ""

    @property
    def known(self) -> bool:
        """
        Whether it is an operator, who sees everything.
        """
        return self.mayChange or bool(self.csrf)


@define
class _Session:
    name: str
    csrf: str
    until: float
    token: str


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
        self._wrong = Attempts(seconds, WRONG, WRONG_AGAIN)
        # Of the page on the Unix socket, where there are no sessions.
        self._localWord = secrets.token_urlsafe(24)

    def actor(self, request: Request, local: bool) -> Actor:
        """
        @param local: whether it came over the Unix socket.
        @raise Unauthorized: where a token is given that is wrong. Without one, somebody may look.
        @raise TooMany: after many of these.
        """
        if local:
            name, origin = _local(request)
            own = _ownPage(request)
            return Actor(name, origin, own is not False, self._localWord if own is not False else "")
        origin = _peer(request)
        header = request.getHeader(b"authorization") or b""
        scheme, _, token = header.partition(b" ")
        if scheme.lower() == b"bearer":
            return Actor(self.named(token.strip().decode("ascii", "replace"), origin), origin, True)
        session = self._session(request)
        if session is None:
            return Actor(NOBODY, origin)
        given = request.getHeader(FIELD) or b""
        return Actor(session.name, origin, hmac.compare_digest(given, session.csrf.encode()), session.csrf)

    def nobody(self, request: Request) -> Actor:
        """
        The same without looking at any token.
        """
        return Actor(NOBODY, _peer(request))

    def proven(self, request: Request, actor: Actor) -> bool:
        """
        Whether a form was sent by our own page.
        """
        given = (request.args or {}).get(b"csrf", [b""])[0]
        return bool(actor.csrf) and hmac.compare_digest(given, actor.csrf.encode())

    def named(self, token: str, origin: str) -> str:
        """
        Whose token it is. The comparison takes the same time for every wrong one.

        @raise Unauthorized: as for L{actor}; likewise L{TooMany}.
        """
        if not self._wrong.left(origin):
            raise TooMany("too many wrong tokens", self._wrong.wait(origin))
        given, found = digest(token), None
        for known, name in self._tokens().items():
            if hmac.compare_digest(given, known):
                found = name
        if found is None:
            self._wrong.add(origin)
            raise Unauthorized("the token is wrong")
        return found

    def logIn(self, request: Request, token: str) -> None:
        """
        Give the browser a session for a token.

        @raise Unauthorized: as for L{actor}; likewise L{TooMany}.
        """
        name = self.named(token, _peer(request))
        word = secrets.token_urlsafe(32)
        session = _Session(name, secrets.token_urlsafe(24), self._seconds() + LASTS, digest(token))
        self._sessions[digest(word)] = session
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        self._setCookie(request, word.encode(), int(LASTS))

    def logOut(self, request: Request) -> None:
        """
        End the browser's session.
        """
        self._sessions.pop(digest((request.getCookie(COOKIE) or b"").decode("ascii", "replace")), None)
        self._setCookie(request, b"", 0)

    def _setCookie(self, request: Request, value: bytes, age: int) -> None:
        request.addCookie(COOKIE, value, path=b"/", secure=True, httpOnly=True, sameSite=b"strict", max_age=b"%d" % age)

    def _session(self, request: Request) -> _Session | None:
        word = request.getCookie(COOKIE)
        if not word:
            return None
        key = digest(word.decode("ascii", "replace"))
        session = self._sessions.get(key)
        if session is None:
            return None
        # A token that was taken away ends the sessions that it began.
        if session.until <= self._seconds() or session.token not in self._tokens():
            del self._sessions[key]
            return None
        return session


def _ownPage(request: Request) -> bool | None:
    """
    Whether our own page made the request; L{None} where no browser did.
    """
    origin, site = request.getHeader(b"origin"), request.getHeader(b"sec-fetch-site")
    agent = request.getHeader(b"user-agent") or b""
    if origin is None and site is None and b"mozilla" not in agent.lower():
        return None
    host = request.getHeader(b"host") or b""
    name = host.rpartition(b":")[0] if host.rpartition(b":")[2].isdigit() else host
    if name.lower() not in LOCAL_HOSTS:
        return False
    if origin is not None and origin.partition(b"://")[2] != host:
        return False
    return site in (None, b"same-origin", b"none")


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
