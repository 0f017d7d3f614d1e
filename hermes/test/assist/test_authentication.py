"""
Who asks is who has proven it, and who guesses is refused.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.assist.authentication import Authentication
from hermes.assist.authenticationtype import AuthenticationOptions, AuthenticationType, TokenOptions
from hermes.assist.passwords import PasswordChecker
from hermes.errors import Overloaded
from hermes.interfaces import IAssistantContext, IAssistantType, IIdentifyingAssistant
from hermes.messages import Request, Response
from hermes.net.authority import OverlayAuthority
from hermes.test.assist.asking import SOURCE, Behind, Source, fieldsOf, request, textOf
from hermes.test.assist.tokens import NOW, token
from hermes.users import ScryptCost, Users, UserSecret, hashPassword
from hermes.values import Headers, Identity

SECRET = "0123456789abcdef0123456789abcdef"
HASH = hashPassword("right", ScryptCost(16, 1, 1))


def users() -> Users:
    return Users({"alice": UserSecret(password=HASH, token="t0ken"), "bob": UserSecret(password="plain")})


def basic(user: str, password: str) -> bytes:
    return b"Basic " + b64encode(f"{user}:{password}".encode())


def bearer(**changed: Any) -> bytes:
    return b"Bearer " + token(SECRET.encode(), "HS256", **changed)


def proxied(credential: bytes, *others: tuple[bytes, bytes]) -> Headers:
    return ((b"proxy-authorization", credential), *others)


@implementer(IAssistantContext)
@define(eq=False)
class Context:
    """
    What an assisting component stands on.
    """

    reactor: Any = field(factory=Clock)
    nodeName: str = "edge"
    authenticator: Any = field(factory=users)
    registry: Any = None
    commons: Any = None


class AuthenticationCase(SynchronousTestCase):
    """
    What these tests share. Passwords are checked at once.
    """

    def setUp(self) -> None:
        self.context = Context()
        self.behind = Behind()

    def make(self, jwt: dict[str, Any] | None = None, **options: Any) -> Authentication:
        if jwt is not None:
            options["jwt"] = TokenOptions(secret=SECRET, issuer=("https://issuer.example",), **jwt)  # type: ignore[arg-type]
        made: Any = AuthenticationType(lambda: NOW).assistant("who", AuthenticationOptions(**options), self.context)
        if options.get("basic", True):
            made._passwords = PasswordChecker(self.context.authenticator, lambda function: succeed(function()))
        assert isinstance(made, Authentication)
        return made

    def ask(self, who: Authentication, asked: Request) -> Response:
        return self.successResultOf(who.assist(asked, self.behind))

    def assertNamed(self, who: Authentication, asked: Request, identity: Identity) -> Request:
        self.assertEqual(self.ask(who, asked).head.status, 200)
        passed = self.behind.passed.pop()
        self.assertEqual((passed.flow.identity, passed.record.flow.identity), (identity, identity))
        return passed

    def assertRefused(self, who: Authentication, asked: Request, status: int, *challenges: bytes) -> Response:
        response = self.ask(who, asked)
        self.assertEqual((response.head.status, self.behind.passed), (status, []))
        name = b"www-authenticate" if status == 401 else b"proxy-authenticate"
        self.assertEqual(tuple(value for key, value in response.head.headers if key == name), challenges)
        return response


class NamingTests(AuthenticationCase):
    """
    Those who have proven who they are.
    """

    def test_itIsAnAssistantOfItsType(self) -> None:
        verifyObject(IAssistantType, AuthenticationType())
        verifyObject(IIdentifyingAssistant, self.make())

    def test_eachKindOfCredential(self) -> None:
        who = self.make(jwt={})
        for credential, user in (
            (basic("alice", "right"), "alice"),
            (basic("bob", "plain"), "bob"),
            (b"Bearer t0ken", "alice"),
            (b"bearer t0ken", "alice"),
            (bearer(), "alice"),
            (bearer(sub="carol"), "carol"),
        ):
            for _ in range(2):
                self.assertNamed(who, request(headers=proxied(credential)), Identity(user=user))

    def test_aNodeStaysTheNodeThatItsCertificateNames(self) -> None:
        who = self.make(jwt={}, certificates={"laptop": "carol"})
        node, laptop = Identity("edge-1"), Identity("laptop")
        self.assertNamed(who, request(identity=node), node)
        self.assertNamed(who, request(identity=laptop), Identity("laptop", "carol"))
        headers = proxied(b"Bearer t0ken")
        self.assertNamed(who, request(headers=headers, identity=node), Identity("edge-1", "alice"))
        self.assertNamed(who, request(headers=headers, identity=laptop), Identity("laptop", "alice"))

    def test_whomSOCKSHasNamedIsNotAskedAgain(self) -> None:
        self.assertNamed(self.make(), request(identity=Identity(user="bob")), Identity(user="bob"))

    def test_aNodesCertificateMayNotBeEnough(self) -> None:
        who = self.make(nodes=False, certificates={"laptop": "carol"})
        self.ask(who, request(identity=Identity("edge-1")))
        self.assertEqual(self.behind.passed, [])
        self.assertNamed(who, request(identity=Identity("laptop")), Identity("laptop", "carol"))

    def test_whoIsNobodyMayPassWhereNothingIsNeeded(self) -> None:
        self.assertNamed(self.make(required=False), request(), Identity())

    def test_aCredentialIsWhereTheListenerHasIt(self) -> None:
        alice, nobody = Identity(user="alice"), Identity()
        good, other = b"Bearer t0ken", b"Bearer of something else"
        open_ = self.make(required=False)
        passed = self.assertNamed(open_, request(headers=proxied(good, (b"authorization", other))), alice)
        self.assertEqual(passed.head.headers, ((b"authorization", other),))
        passed = self.assertNamed(open_, request(headers=((b"authorization", good),)), nobody)
        self.assertEqual(passed.head.headers, ((b"authorization", good),))
        passed = self.assertNamed(open_, request(headers=((b"authorization", good), (b"x", b"1")), gateway=True), alice)
        self.assertEqual(passed.head.headers, ((b"x", b"1"),))
        self.assertNamed(open_, request(headers=proxied(good), gateway=True), alice)
        origin = self.make(required=False, where="origin", strip=False)
        passed = self.assertNamed(origin, request(headers=((b"authorization", good),)), alice)
        self.assertEqual(passed.head.headers, ((b"authorization", good),))
        self.assertNamed(origin, request(headers=proxied(good)), nobody)

    def test_claimsAreFieldsThatNobodyElseSets(self) -> None:
        who = self.make(jwt={"claims": {"groups": "x-groups"}}, required=False)
        forged = (b"x-groups", b"admins")
        for credential, expected in (
            (bearer(groups=["dev", "ops"]), ((b"x-groups", b"dev, ops"),)),
            (bearer(), ()),
            (b"Bearer t0ken", ()),
            (basic("bob", "plain"), ()),
        ):
            for _ in range(2):
                asked = request(headers=proxied(credential, forged))
                self.ask(who, asked)
                self.assertEqual(self.behind.passed.pop().head.headers, expected)
        self.ask(who, request(headers=(forged,)))
        self.assertEqual(self.behind.passed.pop().head.headers, ())

    def test_whoIsNamedIsNobodyFromBefore(self) -> None:
        # Identity is set here: a credential that names somebody takes the place of what was there.
        asked = request(headers=proxied(basic("bob", "plain")), identity=Identity(user="root"))
        self.assertNamed(self.make(), asked, Identity(user="bob"))


BASIC = b'Basic realm="edge", charset="UTF-8"'
BEARER = b'Bearer realm="edge"'


class RefusalTests(AuthenticationCase):
    """
    Those who have not.
    """

    def test_whoBringsNothingIsAskedForSomething(self) -> None:
        who = self.make()
        source = Source()
        asked = request(body=source)
        response = self.assertRefused(who, asked, 407, BEARER, BASIC)
        self.assertEqual(textOf(response), b"this proxy takes nobody it can't name\n")
        self.assertEqual(source.calls, ["stop"])
        self.assertIn(b"http_request_denied", fieldsOf(response)[b"proxy-status"])
        self.assertEqual(fieldsOf(response)[b"cache-control"], b"no-store")
        self.assertEqual(asked.record.error, "this proxy takes nobody it can't name")
        self.assertRefused(who, request(gateway=True), 401, BEARER, BASIC)
        self.assertRefused(self.make(bearer=False), request(), 407, BASIC)
        realm = self.make(jwt={}, basic=False, realm='a "b" \\ ü')
        self.assertRefused(realm, request(), 407, b'Bearer realm="a \\"b\\" \\\\ ?"')
        self.assertEqual(who.failures, 0)

    def test_aWrongCredentialIsRefusedAlsoWhereNoneIsNeeded(self) -> None:
        who = self.make(jwt={}, required=False, failures=1000)
        for credential in (
            basic("alice", "wrong"),
            basic("nobody", "right"),
            basic("bob", ""),
            b"Basic",
            b"Basic !!!",
            b"Bearer",
            b"Bearer a b",
            b"Negotiate AAAA",
            b"Digest username=alice",
            b"",
            b"t0ken",
        ):
            for _ in range(2):
                self.assertRefused(who, request(headers=proxied(credential)), 407, BEARER, BASIC)
        self.assertEqual(who.failures, 22)

    def test_aTokenIsToldWhatIsWrongWithIt(self) -> None:
        who = self.make(jwt={"audience": ("proxy",)})
        told = b', error="invalid_token", error_description="%s"'
        for credential, wrong in (
            (bearer(exp=NOW - 31), b"the token has expired"),
            (bearer(aud="other"), b"the token is for another audience"),
            (bearer(iss="x"), b"the token is from another issuer"),
            (b"Bearer t0kem", b"the token can't be read"),
        ):
            self.assertRefused(who, request(headers=proxied(credential)), 407, BEARER + told % wrong, BASIC)
        opaque = self.make()
        self.assertRefused(
            opaque, request(headers=proxied(bearer())), 407, BEARER + told % b"the token is not known", BASIC
        )

    def test_whatIsNotTakenIsNotTaken(self) -> None:
        self.assertRefused(self.make(basic=False), request(headers=proxied(basic("bob", "plain"))), 407, BEARER)
        self.ask(self.make(jwt={}, bearer=False), request(headers=proxied(b"Bearer t0ken")))
        self.ask(self.make(), request(headers=proxied(bearer())))
        self.assertEqual(self.behind.passed, [])

    def test_twoCredentialsAreNone(self) -> None:
        headers = (*proxied(b"Bearer t0ken"), *proxied(b"Bearer t0ken"))
        self.ask(self.make(), request(headers=headers))
        self.assertEqual(self.behind.passed, [])


class GuessingTests(AuthenticationCase):
    """
    Those who try.
    """

    def test_aSourceThatGuessesIsRefusedUnheard(self) -> None:
        who = self.make(failures=3, failuresEvery=10.0)
        for number in range(3):
            self.assertEqual(self.ask(who, request(headers=proxied(basic("alice", str(number))))).head.status, 407)
        for credential in (basic("alice", "3"), basic("alice", "right"), b"Bearer x"):
            response = self.ask(who, request(headers=proxied(credential)))
            self.assertEqual((response.head.status, fieldsOf(response)[b"retry-after"]), (429, b"10"))
        other = request(headers=proxied(basic("alice", "right")), source=("192.0.2.8", 1))
        self.assertEqual(self.ask(who, other).head.status, 200)
        self.context.reactor.advance(10)
        self.assertEqual(self.ask(who, request(headers=proxied(basic("alice", "4")))).head.status, 407)
        self.assertEqual(self.ask(who, request(headers=proxied(basic("alice", "5")))).head.status, 429)

    def test_whatWasRightBeforeStaysRight(self) -> None:
        who = self.make(jwt={}, failures=1)
        right = [bearer(), basic("alice", "right"), b"Bearer t0ken"]
        for credential in right:
            self.assertEqual(self.ask(who, request(headers=proxied(credential))).head.status, 200)
        self.ask(who, request(headers=proxied(b"Bearer guess")))
        self.assertEqual(self.ask(who, request(headers=proxied(b"Bearer guess"))).head.status, 429)
        for credential in right:
            self.assertEqual(self.ask(who, request(headers=proxied(credential))).head.status, 200)

    def test_whoIsRightIsNotCounted(self) -> None:
        who = self.make(jwt={}, failures=1)
        for number in range(10):
            self.assertEqual(self.ask(who, request(headers=proxied(bearer(jti=str(number))))).head.status, 200)

    def test_aNeighbourInTheSameNetworkIsTheSameSource(self) -> None:
        who = self.make(failures=1)
        self.ask(who, request(headers=proxied(b"Bearer x"), source=("2001:db8::1", 1)))
        asked = request(headers=proxied(b"Bearer y"), source=("2001:db8::2", 1))
        self.assertEqual(self.ask(who, asked).head.status, 429)

    def test_aPasswordThatTakesTimeHoldsNobodyUp(self) -> None:
        who = self.make()
        calls: list[Deferred[bool]] = []

        def inThread(function: Any) -> Deferred[bool]:
            calls.append(Deferred())
            return calls[-1]

        anywho: Any = who
        anywho._passwords = PasswordChecker(self.context.authenticator, inThread, waiting=1)
        asking = [who.assist(request(headers=proxied(basic("alice", str(n)))), self.behind) for n in range(3)]
        for each in asking:
            self.assertNoResult(each)
        self.assertNamed(who, request(headers=proxied(b"Bearer t0ken")), Identity(user="alice"))
        source = Source()
        beyond = who.assist(request(headers=proxied(basic("alice", "x")), body=source), self.behind)
        self.failureResultOf(beyond, Overloaded)
        self.assertEqual(source.calls, ["stop"])
        asking[2].addErrback(lambda failure: None)
        asking[2].cancel()
        calls[0].callback(True)
        self.assertEqual(self.successResultOf(asking[0]).head.status, 200)
        calls[1].callback(False)
        self.assertEqual(self.successResultOf(asking[1]).head.status, 407)
        self.assertEqual((len(calls), who.status()["checking"]), (2, 0))

    def test_aClientWithoutAnAddressIsNotCountedWithOthers(self) -> None:
        who = self.make(failures=1)
        for _ in range(3):
            asked = request(headers=proxied(b"Bearer x"), source=None)
            self.assertEqual(self.ask(who, asked).head.status, 407)
        self.assertEqual(SOURCE[0], "192.0.2.7")


class OptionTests(SynchronousTestCase):
    """
    Options that make no sense are refused.
    """

    def test_theyAreRefusedWithAReason(self) -> None:
        secret: Any = SECRET
        trust = OverlayAuthority.create(self.mktemp()).trustFile
        cases: tuple[tuple[dict[str, Any], str], ...] = (
            ({}, "exactly one"),
            ({"secret": secret, "url": "https://x"}, "exactly one"),
            ({"secret": secret, "algorithms": ("RS256",)}, "public keys"),
            ({"secret": secret, "algorithms": ("HS256", "ES256")}, "public keys"),
            ({"url": "https://x", "algorithms": ("HS256",)}, "needs a 'secret'"),
            ({"url": "https://x", "algorithms": ("none",)}, "not an algorithm"),
            ({"secret": "short"}, "32 bytes"),
            ({"secret": secret, "algorithms": ("HS512",)}, "64 bytes"),
            ({"url": "ftp://x"}, "http"),
            ({"url": "https://user@x/"}, "user"),
            ({"url": "https://x:port/"}, "URL"),
            ({"secret": secret, "trust": trust}, "trust"),
            ({"url": "https://x", "trust": __file__}, "test_authentication.py: "),
            ({"url": "https://x", "trust": "/nowhere"}, "/nowhere: "),
            ({"keys": __file__}, "neither a JSON Web Key Set nor PEM"),
            ({"keys": "/nowhere"}, "/nowhere: "),
            ({"secret": secret, "claims": {"a": "host"}}, "can't be set"),
            ({"secret": secret, "claims": {"a": "hermes-via"}}, "can't be set"),
        )
        for options, reason in cases:
            with self.assertRaisesRegex(ValueError, reason):
                TokenOptions(**options)
        with self.assertRaisesRegex(ValueError, "no credential"):
            AuthenticationOptions(basic=False, bearer=False)
