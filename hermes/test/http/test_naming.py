"""
Who asks: what a listener finds out itself, and where it leaves that to an assisting component.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from twisted.internet.task import Clock

from hermes.assist.authenticationtype import AuthenticationOptions, AuthenticationType
from hermes.fabric.router import Route
from hermes.interfaces import IAssistant
from hermes.matching import Match
from hermes.test.assist.test_authentication import Context
from hermes.test.http.forwarding import Forwarding
from hermes.values import Headers, Identity

ALICE = b"Basic " + b64encode(b"alice:secret")
NODE = Identity("edge-1")
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


def proxied(credential: bytes) -> Headers:
    return ((b"proxy-authorization", credential),)


class NamingTests(Forwarding):
    """
    Listeners of both kinds.
    """

    def listen(self, who: dict[str, Any] | None = None, **options: Any) -> None:
        """
        @param who: the options of the authentication; L{None} for none.
        """
        assistants: dict[str, IAssistant] = {}
        if who is not None:
            context: Any = Context(Clock(), "edge", self.users)
            assistants["who"] = AuthenticationType().assistant("who", AuthenticationOptions(**who), context)
        self.requests = self.newRequests(Route(Match(), name="all"))
        self.requests.plans.assistants = assistants
        self.handler = self.requests.listener("web", tuple(assistants), **options)

    def statusOf(self, headers: Headers = (), **options: Any) -> int:
        asked = len(self.dialer.waiting)
        _, server, _ = self.ask(headers=headers, **options)
        if len(self.dialer.waiting) > asked:
            self.answer(self.up(), CLOSING)
        return server.responses[-1].status

    def test_aReverseProxyThatTakesNobodyAnonymousSaysSo(self) -> None:
        self.listen(gateway=True, anonymous=False)
        self.assertEqual(self.statusOf(), 403)
        self.assertEqual(self.statusOf(((b"authorization", ALICE),)), 403)
        self.assertEqual(self.statusOf(identity=NODE), 200)

    def test_anAuthenticationNamesWhoAsksOfAReverseProxy(self) -> None:
        self.listen({}, gateway=True, anonymous=False)
        self.assertEqual(self.statusOf(), 401)
        self.assertEqual(self.statusOf(((b"authorization", ALICE),)), 200)
        self.assertEqual(self.watching.ended[-1].flow.identity, Identity(user="alice"))
        self.assertEqual(self.statusOf(proxied(ALICE)), 200)

    def test_anAuthenticationThatLeavesSomebodyUnnamedDoesNotLetThemIn(self) -> None:
        self.listen({"required": False}, gateway=True, anonymous=False)
        self.assertEqual(self.statusOf(), 403)
        self.listen({"required": False}, anonymous=False)
        self.assertEqual(self.statusOf(), 407)
        self.listen({"required": False})
        self.assertEqual(self.statusOf(), 200)

    def test_aProxyNamesItsUsersItself(self) -> None:
        self.listen(anonymous=False)
        self.assertEqual([self.statusOf(), self.statusOf(proxied(ALICE))], [407, 200])
        self.assertEqual(self.watching.ended[-1].flow.identity, Identity(user="alice"))

    def test_aProxyWithAnAuthenticationLeavesItToThat(self) -> None:
        self.listen({"basic": False}, anonymous=False)
        self.assertEqual([self.statusOf(), self.statusOf(proxied(ALICE))], [407, 407])
        self.assertEqual(self.statusOf(identity=NODE), 200)
        _, server, _ = self.ask()
        self.assertEqual(server.responses[-1].get(b"proxy-authenticate"), b'Bearer realm="edge"')
