"""
Tests for L{hermes.control.controller}.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, succeed

from hermes.config import ConfigError
from hermes.control.errors import Busy, ControlError, Superseded, UnknownNode, UnknownVersion
from hermes.control.store.errors import StoreUnavailable
from hermes.control.values import NodeEntry, VersionRecord
from hermes.test.control.overlays import SETTINGS, OverlayCase
from hermes.testing.control import documentOf


class ApplyTests(OverlayCase):
    """
    Who may make a change, and when.
    """

    def failed(self, asked: Deferred[Any], error: type[Exception]) -> str:
        """
        Wait for an error.
        """
        failure = self.overlay.wait(asked)
        self.assertIsInstance(failure.value, error)
        return str(failure.value)

    def test_whatIsNoDocumentIsRefused(self) -> None:
        self.assertIn("Expecting value", self.failed(self.applying("?"), ConfigError))
        self.assertEqual(self.overlay.state.versions, {})
        self.assertEqual(self.apply(self.all("one")).result, "committed")

    def test_oneChangeAtATime(self) -> None:
        first = self.applying(documentOf(self.all("one")))
        self.failed(self.applying(documentOf(self.all("two"))), Busy)
        self.assertEqual(self.overlay.wait(first).result, "committed")

    def test_aChangeToSomethingElseIsRefused(self) -> None:
        self.apply(self.all("one"))
        self.apply(
            self.all("two"),
        )
        text = self.failed(self.applying(documentOf(self.all("three")), expect=1), Superseded)
        self.assertEqual(text, "the overlay is at version 2, and this was made for 1")
        self.assertEqual(self.overlay.wait(self.applying(documentOf(self.all("three")), expect=2)).number, 3)

    def cancelledAt(self, point: str) -> tuple[Any, Any]:
        """
        Somebody takes a change to C{two} back at one step.

        @return: what whoever made it is told, and whoever took it back.
        """
        leader = self.overlay.leader
        assert leader is not None
        told: list[Any] = []

        def cancel() -> None:
            leader.controller.cancel("another", "elsewhere").addCallback(told.append)

        leader.stops.on = {point: cancel}
        outcome = self.apply(self.all("two"))
        leader.stops.on = {}
        return outcome, *told

    def test_aChangeCanBeTakenBackAtEachStepUntilItIsDecided(self) -> None:
        self.apply(self.all("one"))
        steps = ("record", "prepare", "prepared", "trial", "commit", "committed", "probe")
        for step in ("validate", *steps):
            outcome, told = self.cancelledAt(f"apply.{step}")
            self.assertIs(told, outcome)
            self.assertEqual(outcome.result, "refused" if step == "validate" else "aborted", step)
            self.assertEqual(self.reasons(outcome), ["(controller): another cancelled it"], step)
            self.overlay.run(1)
            self.assertRun("one")
        entries = self.overlay.wait(self.controller.audits(100))
        cancelled = [entry for entry in entries if entry.action == "cancel"]
        self.assertEqual(len(cancelled), 8)
        self.assertEqual({(entry.actor, entry.origin) for entry in cancelled}, {("another", "elsewhere")})
        self.assertEqual(self.apply(self.all("two")).result, "committed")

    def test_whatIsDecidedCanNotBeTakenBack(self) -> None:
        self.apply(self.all("one"))
        for step in ("decided", "confirm", "confirmed"):
            outcome, told = self.cancelledAt(f"apply.{step}")
            self.assertEqual((outcome.result, told), ("committed", outcome))
            self.overlay.run(1)
            self.assertRun("two")
            self.assertEqual(self.apply(self.all("one")).result, "committed")

    def test_whereNothingIsUnderWayThereIsNothingToTakeBack(self) -> None:
        self.assertIsNone(self.overlay.wait(self.controller.cancel("ops")))
        applying = self.applying("?")
        cancelled = self.controller.cancel("ops")
        self.failed(applying, ConfigError)
        self.assertIsNone(self.overlay.wait(cancelled))

    def test_whatWasCommittedBeforeCanBeHadAgain(self) -> None:
        self.apply(self.all("one"))
        self.apply(self.all("two"))
        outcome = self.overlay.wait(self.controller.rollback(1, "ops"))
        self.assertEqual((outcome.result, outcome.number), ("committed", 3))
        self.assertRun("one")
        record = self.overlay.state.versions[3]
        self.assertEqual((record.comment, record.parent), ("back to version 1", 2))

    def test_whatWasNeverCommittedCanNot(self) -> None:
        self.apply(self.all("one"))
        self.apply({**self.all("two"), "b": "refuse b"})
        for number in 2, 7:
            text = self.failed(self.controller.rollback(number, "ops"), UnknownVersion)
            self.assertEqual(text, f"version {number} was never committed")

    def test_whatTheNetworkCostsIsKeptWithTheVersion(self) -> None:
        self.overlay.wait(self.applying(documentOf(self.all("one")), measurements=" 5"))
        self.assertEqual(self.overlay.nodes["a"].runner.config, b"one a 5")
        self.apply(self.all("two"))
        self.overlay.wait(self.controller.rollback(1, "ops"))
        self.assertEqual(self.overlay.nodes["a"].runner.config, b"one a 5")

    def test_whoDidWhatIsWrittenDown(self) -> None:
        self.overlay.wait(self.applying(documentOf(self.all("one")), comment="first", origin="unix"))
        self.apply({**self.all("two"), "b": "refuse b"})
        self.failed(self.applying("?"), ConfigError)
        self.overlay.wait(self.controller.rollback(1, "alice"))
        entries = self.overlay.wait(self.controller.audits())
        self.assertEqual(
            [(entry.actor, entry.action, entry.subject, entry.text.partition(":")[0]) for entry in entries],
            [
                ("alice", "rollback", "version 1", "unchanged (to version 1)"),
                ("ops", "apply", "", "refused"),
                ("ops", "apply", "version 2", "aborted"),
                ("ops", "apply", "version 1", "committed (first)"),
            ],
        )
        self.assertEqual(entries[-1].origin, "unix")

    def test_aStoreThatDoesNotAnswerRefusesIt(self) -> None:
        leader = self.overlay.leader
        assert leader is not None
        leader.store.reachable = False
        self.failed(self.applying(documentOf(self.all("one"))), StoreUnavailable)
        leader.store.reachable = True
        leader.stops.on["apply.record"] = lambda: setattr(leader.store, "fails", 1)
        outcome = self.overlay.wait(self.applying(documentOf(self.all("one"))))
        self.assertEqual(outcome.result, "refused")
        self.assertIn("the store does not answer", self.reasons(outcome)[0])

    def test_aVersionThatNobodyKnowsOfIsAbortedBeforeTheNext(self) -> None:
        leader = self.overlay.leader
        assert leader is not None
        leader.stops.on["apply.record"] = lambda: setattr(leader.store, "forgets", 1)
        outcome = self.overlay.wait(self.applying(documentOf(self.all("one"))))
        self.assertEqual(outcome.result, "refused")
        self.assertEqual(self.overlay.state.versions[1].phase, "preparing")
        leader.stops.on.clear()
        self.assertEqual(self.apply(self.all("two")).number, 2)
        self.assertEqual(self.overlay.state.versions[1].phase, "aborted")
        self.flushLoggedErrors()

    def test_anAnswerOfTheStoreThatIsLostDecidesAllTheSame(self) -> None:
        leader = self.overlay.leader
        assert leader is not None
        for text, point in (("one", "apply.trial"), ("two", "apply.decide")):
            leader.stops.on = {point: lambda: setattr(leader.store, "forgets", 1)}
            self.assertEqual(self.apply(self.all(text)).result, "committed")
            self.assertRun(text)
        leader.stops.on = {"apply.abort": lambda: setattr(leader.store, "forgets", 1)}
        self.assertEqual(self.apply({**self.all("three"), "b": "refuse b"}).result, "aborted")
        self.assertRun("two")
        self.assertEqual(self.overlay.state.decided, {1: 1, 2: 1})

    def test_aStoreThatFailsForAWhileIsAskedAgain(self) -> None:
        leader = self.overlay.leader
        assert leader is not None
        for text, point in (("one", "apply.trial"), ("two", "apply.decide")):
            leader.stops.on = {point: lambda: setattr(leader.store, "fails", 3)}
            self.assertEqual(self.apply(self.all(text)).result, "committed")
            self.assertRun(text)

    def test_aStoreThatIsGoneForTooLongTakesItBack(self) -> None:
        self.apply(self.all("one"))
        leader = self.overlay.leader
        assert leader is not None
        leader.stops.on = {"apply.decide": lambda: setattr(leader.store, "reachable", False)}
        applying = self.applying(documentOf(self.all("two")))
        self.overlay.run(SETTINGS.decide + 10)
        self.assertRun("one")
        leader.store.reachable = True
        outcome = self.overlay.wait(applying)
        self.assertEqual((outcome.result, self.reasons(outcome)), ("aborted", [NO_ANSWER]))
        self.assertRun("one")

    def test_anotherVersionMeanwhileTakesItBack(self) -> None:
        self.apply(self.all("one"))
        leader = self.overlay.leader
        assert leader is not None

        def another() -> None:
            state = self.overlay.state
            state.versions[3] = VersionRecord(3, 1, "x", 0.0, "", state.versions[1].document, "committed")
            state.current = 3

        leader.stops.on = {"apply.decide": another}
        outcome = self.apply(self.all("two"))
        self.assertEqual(self.reasons(outcome), ["(controller): the overlay has got another version meanwhile"])
        self.overlay.run(3)
        self.assertRun("one")

    def test_whoWatchesIsTold(self) -> None:
        told: list[int | None] = []
        stop = self.controller.watch(lambda: told.append(self.overlay.state.current))
        self.apply(self.all("one"))
        self.assertEqual((told[0], told[-1]), (None, 1))
        stop()
        stop()
        del told[:]
        self.apply(self.all("two"))
        self.assertEqual(told, [])


NO_ANSWER = "(controller): the store did not answer in time"


class StatusTests(OverlayCase):
    """
    What a controller says of the overlay.
    """

    def status(self) -> Any:
        """
        It, now.
        """
        return self.overlay.wait(self.controller.status())

    def node(self, name: str) -> Any:
        """
        What it says of a node.
        """
        return {node.name: node for node in self.status().nodes}[name]

    def test_beforeTheFirstVersion(self) -> None:
        status = self.status()
        self.assertEqual((status.leading, status.version, status.change), (True, None, None))
        self.assertEqual([node.name for node in status.nodes], ["a", "b", "c"])
        self.assertEqual([node.problem for node in status.nodes], [None] * 3)

    def test_nodesThatRunWhatTheyShould(self) -> None:
        self.apply(
            self.all("one"),
        )
        self.apply({**self.all("one"), "b": "two b"})
        status = self.status()
        self.assertEqual((status.version, status.author), (2, "ops"))
        self.assertEqual(
            [(node.name, node.wanted, node.state.runs, node.current) for node in status.nodes],
            [("a", 2, 1, True), ("b", 2, 2, True), ("c", 2, 1, True)],
        )

    def test_aChangeThatIsUnderWay(self) -> None:
        applying = self.applying(documentOf(self.all("one")))
        self.overlay.run(1)
        status = self.status()
        self.assertEqual((status.change, status.progress.step), (1, "probe"))
        self.overlay.wait(applying)
        self.assertIsNone(self.status().change)

    def test_nodesThatAreNotThere(self) -> None:
        self.overlay.state.nodes["d"] = NodeEntry("d", "1f", 5.0, 9.0, False, 7.0)
        self.overlay.nodes["c"].kill()
        self.apply(self.all("one"))
        c, d = self.node("c"), self.node("d")
        self.assertEqual((c.state.connected, c.wanted, c.current, c.enrolled), (False, 1, False, False))
        self.assertEqual((d.state.seen, d.wanted, d.enrolled, d.expires), (7.0, None, True, 9.0))

    def test_aNodeThatTheDocumentDoesNotName(self) -> None:
        self.apply({"a": "one a"})
        self.assertEqual(self.node("b").problem, "the overlay document does not name it")

    def test_whatANodeSaysIsWrong(self) -> None:
        self.apply(self.all("one"))
        node = self.overlay.nodes["b"]
        for name in node.files.names():
            with open(node.files.path(name), "ab") as file:
                file.write(b"!")
        node.kill()
        node.start()
        self.overlay.nodes["b"].refusing.add(b"one")
        self.overlay.run(3)
        self.assertIn("is corrupt", self.node("b").problem)
        self.flushLoggedErrors()


class FakeEnrolment:
    """
    Lets everybody in.
    """

    def __init__(self) -> None:
        self.revoked: list[str] = []

    def enrol(self, node: str) -> Deferred[str]:
        """
        A token.
        """
        return succeed(f"token of {node}")

    def revoke(self, node: str) -> Deferred[Any]:
        """
        Write it down.
        """
        self.revoked.append(node)
        return succeed(None)


class NodeTests(OverlayCase):
    """
    What is asked of one node, or about one.
    """

    def test_drainingLogsAndStatus(self) -> None:
        self.apply(self.all("one"))
        self.assertEqual(self.overlay.wait(self.controller.nodeStatus("a")), {"config": "one a"})
        self.assertEqual(self.overlay.wait(self.controller.logs("a", 10)), [])
        self.assertTrue(self.overlay.wait(self.controller.drain("a", 5.0, "ops")))
        self.assertIsNone(self.overlay.nodes["a"].runner.config)
        self.overlay.run(60)
        # It is not given anything any more.
        self.assertIsNone(self.overlay.nodes["a"].runner.config)
        (entry, *_) = self.overlay.wait(self.controller.audits())
        self.assertEqual((entry.actor, entry.action, entry.subject), ("ops", "drain", "a"))

    def test_aNodeThatIsNotThereIsToldApart(self) -> None:
        for asked in (
            self.controller.nodeStatus("x"),
            self.controller.logs("x", 1),
            self.controller.drain("x", 1.0),
        ):
            self.assertIsInstance(self.overlay.wait(asked).value, UnknownNode)

    def test_whoIsLetInIsAnothersToSay(self) -> None:
        for asked in self.controller.enrol("d"), self.controller.revoke("d"):
            self.assertIsInstance(self.overlay.wait(asked).value, ControlError)
        enrolment = self.controller.enrolment = FakeEnrolment()
        self.assertEqual(self.overlay.wait(self.controller.enrol("d", "ops")), "token of d")
        self.overlay.wait(self.controller.revoke("d", "ops"))
        self.assertEqual(enrolment.revoked, ["d"])
        entries = self.overlay.wait(self.controller.audits())
        self.assertEqual([(each.action, each.subject) for each in entries], [("revoke", "d"), ("enrol", "d")])
        self.assertEqual([evolve(each, number=0, time=0.0).text for each in entries], ["", ""])
