"""
The first rule that takes a request decides.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.assist.refusals import Denied
from hermes.assist.rules import Rule, Rules, RulesType
from hermes.errors import BadRequest
from hermes.interfaces import IAssistant, IAssistantType
from hermes.matching import Match
from hermes.test.assist.asking import Behind, Source, request
from hermes.values import Flow, Identity, Target

ALICE, BOB = Identity(user="alice"), Identity(user="bob")

RULES = (
    Rule(Match.fromTexts(users=["alice"], paths=["/admin/"]), allow=True),
    Rule(Match.fromTexts(paths=["/admin/"]), deny="only for administrators"),
    Rule(Match.fromTexts(users=["bob"], methods=["GET"]), allow=True),
    Rule(Match.fromTexts(targets=["db.hermes:3306"], headers={"x-groups": "dba"}), allow=True),
)


class RulesTests(SynchronousTestCase):
    """
    L{Rules}.
    """

    def setUp(self) -> None:
        self.behind = Behind()

    def test_itIsAnAssistantOfItsType(self) -> None:
        verifyObject(IAssistantType, RulesType())
        verifyObject(IAssistant, Rules(RULES))

    def test_theFirstThatTakesARequestDecides(self) -> None:
        rules = Rules(RULES)
        for asked, reason in (
            (request(b"/admin/x", identity=ALICE), None),
            (request(b"/admin/x", identity=BOB), "only for administrators"),
            (request(b"/%61dmin/x", identity=BOB), "only for administrators"),
            (request(b"/x/../admin/x", identity=BOB), "only for administrators"),
            (request(b"/x", identity=BOB), None),
            (request(b"/x", identity=BOB, method=b"POST"), "no rule allows it"),
            (request(b"/x", identity=ALICE), "no rule allows it"),
            (request(b"/x"), "no rule allows it"),
        ):
            if reason is None:
                self.assertEqual(self.successResultOf(rules.assist(asked, self.behind)).head.status, 200)
            else:
                failure = self.failureResultOf(rules.assist(asked, self.behind), Denied)
                self.assertEqual((str(failure.value), failure.value.status), (reason, 403))
        self.assertEqual((len(self.behind.passed), rules.status()["denied"]), (2, 6))

    def test_whatNoRuleTakesCanBeAllowed(self) -> None:
        rules = Rules(RULES, allowed=True)
        self.assertEqual(self.successResultOf(rules.assist(request(b"/x"), self.behind)).head.status, 200)
        self.failureResultOf(rules.assist(request(b"/admin/"), self.behind), Denied)

    def test_aTunnelIsARequestToo(self) -> None:
        rules = Rules(RULES)
        for groups, allowed in ((b"dba", True), (b"dev", False)):
            asked = request(b"", ((b"x-groups", groups),), ALICE, b"CONNECT", host="db.hermes", protocol="tcp")
            asked.flow = Flow("tcp", Target("db.hermes", 3306), None, ALICE)
            asking = rules.assist(asked, self.behind)
            if allowed:
                self.successResultOf(asking)
            else:
                self.failureResultOf(asking, Denied)

    def test_aPathThatIsReadInTwoWaysIsRefusedWhereTheyDiffer(self) -> None:
        source = Source()
        asked = request(b"/x%2F..%2Fadmin/x", identity=BOB, body=source)
        self.failureResultOf(Rules(RULES).assist(asked, self.behind), BadRequest)
        self.assertEqual((self.behind.passed, source.calls), ([], ["stop"]))

    def test_aDeniedRequestsBodyIsNotRead(self) -> None:
        source = Source()
        self.failureResultOf(Rules(()).assist(request(body=source), self.behind), Denied)
        self.assertEqual(source.calls, ["stop"])

    def test_aRuleSaysOneOfTheTwo(self) -> None:
        for options in ({}, {"allow": True, "deny": "no"}):
            with self.assertRaises(ValueError):
                Rule(Match(), **options)  # type: ignore[arg-type]
