"""
What is found out about a request before it is sent on: who asks, for what, by which way.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from hermes.fabric.router import Route, Router
from hermes.http import handler as module
from hermes.http.plans import Plans
from hermes.interfaces import IExchangeHandler, IRequestHandler
from hermes.matching import Match
from hermes.test.fabric.fakedialer import FakeDialer
from hermes.test.http.handling import FakePlans, Handling, Naming, Passing, basic
from hermes.users import Users, UserSecret
from hermes.values import ANONYMOUS, Identity, Target

NODE = Identity(node="relay")


class IdentityTests(Handling):
    def assertNamed(self, expected: Identity, **options: Any) -> None:
        self.ask(**options)
        self.assertEqual((self.request.flow.identity, self.request.record.flow.identity), (expected, expected))

    def assertRefused(self, status: int, **options: Any) -> None:
        sent = len(self.plans.requests)
        _, server = pair = self.ask(**options)
        self.assertEqual((self.status(pair), len(self.plans.requests)), (status, sent))
        self.assertEqual(server.responses[-1].get(b"proxy-authenticate") is not None, status == 407)
        self.assertEqual(self.ended[-1].proxyStatus, "http_request_denied")

    def test_theyKeepWhatTheyPromise(self) -> None:
        verifyObject(IRequestHandler, self.requests)
        verifyObject(IExchangeHandler, self.handler)

    def test_theConnectionNamesWhoAsks(self) -> None:
        for identity in (NODE, Identity(user="bob"), ANONYMOUS):
            self.assertNamed(identity, identity=identity)

    def test_aCredentialNamesTheUserAndLeavesTheNode(self) -> None:
        self.assertNamed(Identity(user="alice"), headers=basic(b"alice:secret"))
        self.assertNamed(Identity("relay", "alice"), headers=basic(b"alice:secret"), identity=NODE)

    def test_aWrongCredentialIsRefusedWhoeverTheConnectionIs(self) -> None:
        for headers in (basic(b"alice:wrong"), basic(b"bob:secret"), ((b"proxy-authorization", b"Digest x"),)):
            for identity in (ANONYMOUS, NODE):
                self.assertRefused(407, headers=headers, identity=identity)

    def test_whereSomebodyIsNeededNobodyIsRefused(self) -> None:
        self.handler = self.requests.listener("apps", anonymous=False)
        self.assertRefused(407)
        self.assertNamed(NODE, identity=NODE)
        self.assertNamed(Identity(user="alice"), headers=basic(b"alice:secret"))

    def test_whereUsersAreRequiredNobodyIsRefused(self) -> None:
        self.requests.authenticator = Users({"alice": UserSecret(password="secret")}, required=True)
        self.assertRefused(407)
        self.assertNamed(NODE, identity=NODE)
        self.assertNamed(Identity(user="alice"), headers=basic(b"alice:secret"))

    def test_aReverseProxyLooksAtNoCredentialForProxies(self) -> None:
        self.requests.authenticator = Users({"alice": UserSecret(password="secret")}, required=True)
        self.handler = self.requests.listener("web", gateway=True)
        for credential in (b"alice:secret", b"alice:wrong"):
            self.assertNamed(ANONYMOUS, headers=basic(credential))
        self.assertTrue(self.request.gateway)

    def test_aReverseProxyThatNeedsSomebodyAsksForNothing(self) -> None:
        self.handler = self.requests.listener("web", anonymous=False, gateway=True)
        self.assertRefused(403)
        self.assertRefused(403, headers=basic(b"alice:secret"))
        self.assertNamed(NODE, identity=NODE)

    def test_whereAnAssistingComponentNamesNobodyElseDoes(self) -> None:
        naming = Naming(Identity(user="carol"))
        self.plans.assistants = {"who": naming}
        for gateway, refused in ((False, 407), (True, 403)):
            self.handler = self.requests.listener("apps", ("who",), anonymous=False, gateway=gateway)
            naming.identity = Identity(user="carol")
            self.assertNamed(Identity(user="carol"))
            self.assertNamed(Identity(user="carol"), headers=basic(b"alice:wrong"))
            naming.identity = ANONYMOUS
            self.assertRefused(refused)
            self.assertRefused(refused, headers=basic(b"alice:secret"))

    def test_oneThatNamesNobodyLeavesThatToUs(self) -> None:
        self.plans.assistants = {"limit": Passing()}
        self.handler = self.requests.listener("apps", ("limit",))
        self.assertNamed(Identity(user="alice"), headers=basic(b"alice:secret"))
        self.assertRefused(407, headers=basic(b"alice:wrong"))

    def test_whatTheListenerNamesIsAsTheConfigurationHasItNow(self) -> None:
        self.plans.assistants = {"who": Naming(Identity(user="carol"))}
        self.handler = self.requests.listener("apps", ("who",))
        self.assertNamed(Identity(user="carol"))
        plans: Any = FakePlans({"who": Naming(Identity(user="dave"))})
        self.requests.swap(plans)
        self.ask()
        self.assertEqual(plans.requests[-1].flow.identity, Identity(user="dave"))

    def test_aComponentThatIsGoneIsAMistakeOfOurs(self) -> None:
        self.handler = self.requests.listener("apps", ("who",))
        self.assertEqual(self.status(self.ask()), 502)
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.assertEqual(self.ended[0].error, "internal error")


class TargetTests(Handling):
    def assertTarget(self, host: str, port: int, **options: Any) -> None:
        self.ask(**options)
        expected = Target(host, port)
        self.assertEqual((self.request.flow.target, self.request.record.flow.target), (expected, expected))

    def assertRefused(self, status: int, **options: Any) -> None:
        sent = len(self.plans.requests)
        self.assertEqual(self.status(self.ask(**options)), status, options)
        self.assertEqual(len(self.plans.requests), sent)
        self.assertEqual(self.ended[-1].status, status)

    def test_theAuthoritySaysWhereTo(self) -> None:
        for _ in range(2):
            self.assertTarget("web.example", 80)
            self.assertTarget("web.example", 443, scheme=b"https")
            self.assertTarget("web.example", 8080, authority=b"web.example:8080")
            self.assertTarget("2001:db8::1", 81, authority=b"[2001:db8::1]:81")
            self.assertTarget("2001:db8::1", 443, authority=b"[2001:DB8:0::1]", scheme=b"https")

    def test_anAuthorityThatIsNoneIsRefused(self) -> None:
        for authority in (
            b"",
            b"user@web.example",
            b"web.example:",
            b"web.example:0",
            b"web.example:65536",
            b"[::1",
            b"a/b",
        ):
            for _ in range(2):
                self.assertRefused(400, authority=authority)

    def test_otherSchemesAreNotSentOn(self) -> None:
        for scheme in (b"ftp", b""):
            self.assertRefused(501, scheme=scheme)

    def test_whatIsNotForOriginsIsRefusedHoweverWellTheOriginIsKnown(self) -> None:
        for _ in range(2):
            self.assertRefused(501, method=b"TRACE")
            self.assertRefused(501, method=b"CONNECT")
            self.assertTarget("web.example", 80)

    def test_aStreamInsideAnExchangeGoesToOrigins(self) -> None:
        for _ in range(2):
            self.assertTarget("web.example", 80, method=b"CONNECT", protocol=b"websocket", ended=False)
            self.assertTarget("web.example", 80, method=b"PROPFIND")

    def test_onlySoManyTargetsAreRemembered(self) -> None:
        self.patch(module, "_MAX_TARGETS", 3)
        for number in (*range(10), *range(10)):
            self.assertTarget(f"host{number}", 80, authority=b"host%d" % number)
            self.assertLessEqual(len(self.handler._targets), 3)

    # How far

    def test_theLastHopAnswersItself(self) -> None:
        pair = self.ask(((b"max-forwards", b"0"),), b"OPTIONS")
        self.assertEqual((self.status(pair), self.plans.requests), (200, []))
        self.ask(((b"max-forwards", b"1"),), b"OPTIONS")
        self.assertEqual(self.request.head.get(b"max-forwards"), b"0")
        self.ask(((b"max-forwards", b"0"),), b"GET")
        self.assertEqual(len(self.plans.requests), 2)
        self.assertEqual([record.status for record in self.ended], [200])

    def test_aRequestThatWasHereIsRefused(self) -> None:
        self.ask()
        via = self.request.head.get(b"via")
        assert via is not None
        self.assertRefused(502, headers=((b"via", b"1.1 other, " + via),))
        self.assertEqual(self.ended[-1].proxyStatus, "proxy_loop_detected")

    # What only nodes may say

    def test_nodesAndNobodyElseSayWhatIsLeft(self) -> None:
        headers = ((b"hermes-deadline", b"2500"), (b"hermes-retries", b"3"), (b"hermes-request", b"abc"))
        self.ask(headers, identity=NODE)
        found = self.request
        self.assertEqual((found.deadline, found.retriesLeft, found.name), (1002.5, 3, b"abc"))
        for identity in (ANONYMOUS, Identity(user="alice")):
            self.ask((*headers, (b"hermes-retries", b"x")), identity=identity)
            found = self.request
            self.assertEqual((found.deadline, found.retriesLeft, found.name), (None, None, None))
        for request in self.plans.requests:
            self.assertEqual([name for name, _ in request.head.headers if name.startswith(b"hermes-")], [])

    def test_whatANodeSaysMustMakeSense(self) -> None:
        for field in ((b"hermes-deadline", b"soon"), (b"hermes-retries", b"-1"), (b"hermes-via", b"relay;;")):
            self.assertRefused(400, headers=(field,), identity=NODE)

    def test_nodesAndNobodyElseSayWhichWay(self) -> None:
        headers = ((b"hermes-via", b'"exit", "far"'),)
        self.ask(headers, identity=NODE)
        self.assertEqual((self.request.flow.via, self.request.record.flow.via), (("exit", "far"),) * 2)
        for identity, value in ((ANONYMOUS, b'"exit"'), (Identity(user="alice"), b"relay;;")):
            self.ask(((b"hermes-via", value),), identity=identity)
            self.assertEqual(self.request.flow.via, ())

    # What is sent on

    def test_theRecordKeepsTheHeadAsItCame(self) -> None:
        self.ask(((b"x-forwarded-for", b"me"), (b"accept", b"*/*")))
        head = self.request.head
        self.assertEqual((head.get(b"x-forwarded-for"), head.get(b"accept")), (None, b"*/*"))
        self.assertEqual(self.request.record.head.get(b"x-forwarded-for"), b"me")

    def test_whoeverIsBeyondIsToldOfTheClientWhereTheListenerSaysSo(self) -> None:
        self.ask()
        self.assertIsNone(self.request.head.get(b"forwarded"))
        self.handler = self.requests.listener("web", forwarded="address")
        self.ask(source=("192.0.2.7", 1))
        self.assertEqual(self.request.head.get(b"forwarded"), b'for=192.0.2.7;host="web.example";proto=http')

    def test_theRecordSaysWhichWayItWent(self) -> None:
        self.ask(source=("192.0.2.7", 1), version="1.1")
        record = self.request.record
        self.assertEqual((record.routeName, record.upstream, record.hops), ("all", "web", ("relay",)))
        self.assertEqual((record.version, record.startedAt), ("1.1", 1000.0))
        self.assertEqual((record.flow.listener, record.flow.source), ("apps", ("192.0.2.7", 1)))

    def test_whatHasNoBodyHasNone(self) -> None:
        self.ask()
        self.assertIsNone(self.request.body)
        self.ask(method=b"POST", ended=False)
        self.assertIsNotNone(self.request.body)


class DenialTests(Handling):
    def test_theRouteThatDeniesIsNamed(self) -> None:
        routes = [Route(Match(users=frozenset({"alice"})), "hers", deny="she may not"), Route(Match(), "rest")]
        dialer = FakeDialer(self.clock)
        made: Any = None
        self.requests.plans = Plans(Router(routes), {}, {}, lambda special: dialer, made, self.clock)
        pair = self.ask(basic(b"alice:secret"))
        self.assertEqual(self.status(pair), 403)
        (record,) = self.ended
        self.assertEqual((record.routeName, record.status, record.upstream), ("hers", 403, ""))
        self.assertIn("she may not", record.error or "")
