"""
What an agent does after it was killed, and with a disk that is full or not whole.
"""

from __future__ import annotations

import os

from hermes.control.agent.core import RETRY_FIRST
from hermes.control.stops import AGENT_POINTS
from hermes.control.values import READY, Answer
from hermes.test.control.agent.agents import DECIDE, AgentCase


class RestartTests(AgentCase):
    """
    A process that was killed, and the next one on the same disk.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.run_(1, b"one")

    def test_itStartsFromDiskWithoutAController(self) -> None:
        self.run_(2, b"two", 1)
        self.assertEqual(self.restart(), READY)
        self.assertRuns(b"two", 2, 2)

    def test_whatWasPreparedIsForgotten(self) -> None:
        self.prepare(2, b"two", 1)
        self.restart()
        self.assertRuns(b"one", 1, 1)
        self.assertEqual(self.kinds(), ["1.yaml"])

    def test_whatWasOnTrialIsNotRun(self) -> None:
        self.trial(2, b"two", 1)
        self.restart()
        self.assertRuns(b"one", 1, 1)
        self.assertEqual(self.kinds(), ["1.yaml"])

    def test_aFirstVersionThatWasOnTrialIsNotRun(self) -> None:
        self.setUpAnew()
        self.trial(1, b"one")
        self.restart()
        self.assertRuns(None, None, None)

    def setUpAnew(self) -> None:
        """
        A node that never had a configuration.
        """
        AgentCase.setUp(self)
        self.start()

    def test_killedAtAnyPointItRunsWhatWasConfirmed(self) -> None:
        for point in AGENT_POINTS:
            self.setUpAnew()
            self.run_(1, b"one")
            self.stops.at[point] = 0
            self.prepare(2, b"two", 1)
            self.agent.commit(2)
            if point.startswith("agent.confirm"):
                self.agent.confirm(2)
            self.clock.advance(DECIDE)
            self.assertEqual(self.stops.stopped, [point])
            self.restart()
            kept = point == "agent.confirm.kept"
            self.assertRuns(b"two" if kept else b"one", 2 if kept else 1, 2 if kept else 1)
            # And goes on from there.
            self.run_(3, b"three", 2 if kept else 1)
            self.restart()
            self.assertRuns(b"three", 3, 3)

    def test_aFewVersionsAreKept(self) -> None:
        for version in range(2, 10):
            self.run_(version, f"v{version}".encode(), version - 1)
        self.assertEqual(self.kinds(), ["5.yaml", "6.yaml", "7.yaml", "8.yaml", "9.yaml"])

    def test_whatWasNeverFinishedIsRemoved(self) -> None:
        with open(os.path.join(self.directory, "00000009.9.0000000000000000.yaml.new"), "wb") as file:
            file.write(b"# hermes: version 9, sha")
        with open(os.path.join(self.directory, "notes"), "wb"):
            pass
        self.restart()
        self.assertEqual(self.kinds(), ["1.yaml"])
        self.assertIn("notes", os.listdir(self.directory))

    def test_whatCanNotBeStartedIsTriedAgain(self) -> None:
        self.process.kill()
        self.boot()
        self.runner.refusing = {b"one"}
        answer = self.start()
        self.assertFalse(answer.ready)
        self.assertRuns(None, None, 1)
        self.assertIn("already in use", str(self.agent.state.problem))
        self.clock.advance(RETRY_FIRST)
        self.assertRuns(None, None, 1)
        self.runner.refusing = set()
        self.clock.advance(2 * RETRY_FIRST)
        self.assertRuns(b"one", 1, 1)
        self.assertIsNone(self.agent.state.problem)

    def test_whatCanNotBeStartedCanBeReplaced(self) -> None:
        self.process.kill()
        self.boot()
        self.runner.refusing = {b"one"}
        self.start()
        self.run_(2, b"two", 1)
        self.assertRuns(b"two", 2, 2)
        self.assertIsNone(self.agent.state.problem)
        self.clock.advance(100)
        self.assertEqual(self.runner.history, [b"two"])

    def test_whatThisSoftwareCanNotReadGivesWayToTheVersionBefore(self) -> None:
        self.run_(2, b"two", 1)
        self.process.kill()
        self.boot()
        self.runner.unreadable = {b"two"}
        self.assertEqual(self.start(), READY)
        self.assertRuns(b"one", 1, 1)
        self.assertIn("version 2, the last good one, can't be read", str(self.agent.state.problem))
        self.assertEqual(self.kinds(), ["1.yaml", "2.yaml"])

    def test_whereNoneCanBeReadTheLastOneIsTriedAgain(self) -> None:
        self.run_(2, b"two", 1)
        self.process.kill()
        self.boot()
        self.runner.unreadable = {b"one", b"two"}
        self.assertFalse(self.start().ready)
        self.assertRuns(None, None, 2)
        self.runner.unreadable = set()
        self.clock.advance(RETRY_FIRST)
        self.assertRuns(b"two", 2, 2)


class CorruptTests(AgentCase):
    """
    Files that are not what was written.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.run_(1, b"one")
        self.run_(2, b"two", 1)

    def file(self, version: int) -> str:
        """
        The path of a version.
        """
        (name,) = [each for each in os.listdir(self.directory) if each.split(".")[1] == str(version)]
        return os.path.join(self.directory, name)

    def spoil(self, version: int, data: bytes) -> None:
        """
        Have it hold something else.
        """
        with open(self.file(version), "wb") as file:
            file.write(data)

    def test_aCorruptOneIsSetAsideAndTheOneBeforeUsed(self) -> None:
        with open(self.file(2), "rb") as file:
            whole = file.read()
        for data in (b"", b"garbage", whole[:-1], whole + b"#"):
            self.spoil(2, data)
            self.restart()
            self.assertRuns(b"one", 1, 1)
            self.assertIn("is corrupt", str(self.agent.state.problem))
            self.assertEqual(self.kinds(), ["1.yaml", "2.yaml.corrupt"])
            # The controller sends it again.
            self.run_(2, b"two", 1)
            self.assertIsNone(self.agent.state.problem)
            os.unlink(self.setAside())

    def setAside(self) -> str:
        """
        The one that was set aside.
        """
        (name,) = [each for each in os.listdir(self.directory) if each.endswith(".corrupt")]
        return os.path.join(self.directory, name)

    def test_whereAllAreCorruptNothingIsRun(self) -> None:
        self.spoil(1, b"?")
        self.spoil(2, b"?")
        self.restart()
        self.assertRuns(None, None, None)
        self.assertEqual(str(self.agent.state.problem).count("is corrupt"), 2)
        self.run_(3, b"three")
        self.restart()
        self.assertRuns(b"three", 3, 3)

    def test_oneThatCanNotBeReadIsPassedOver(self) -> None:
        path = self.file(2)
        os.unlink(path)
        os.mkdir(path)
        self.restart()
        self.assertRuns(b"one", 1, 1)
        self.assertIn("can't be read", str(self.agent.state.problem))


class FullDiskTests(AgentCase):
    """
    A disk that takes nothing more.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.run_(1, b"one")

    def test_whatCanNotBeKeptIsRefusedBeforeItRuns(self) -> None:
        self.files.full = True
        self.assertRefused(self.prepare(2, b"two", 1), "version 2 can't be kept on disk: No space left on device")
        self.assertRuns(b"one", 1, 1)
        self.assertEqual(self.runner.open, 0)
        self.files.full = False
        self.run_(2, b"two", 1)

    def test_whatWasPreparedNeedsNoMoreRoom(self) -> None:
        self.prepare(2, b"two", 1)
        self.files.full = True
        for asked in self.agent.commit(2), self.agent.confirm(2):
            self.assertEqual(self.successResultOf(asked), READY)
        self.restart()
        self.assertRuns(b"two", 2, 2)

    def test_whatCanNotBeWrittenDownAfterAllIsToldAndTriedAgain(self) -> None:
        self.trial(2, b"two", 1)
        (name,) = [each for each in os.listdir(self.directory) if each.endswith(".trial")]
        os.unlink(os.path.join(self.directory, name))
        self.files.full = True
        answer = self.successResultOf(self.agent.confirm(2))
        self.assertEqual(answer, Answer(True, ("version 2 runs but can't be kept on disk: No space left on device",)))
        # It was committed, and stays.
        self.assertRuns(b"two", 2, 2)
        self.assertIn("can't be kept", str(self.agent.state.problem))
        self.clock.advance(RETRY_FIRST)
        self.assertIn("can't be kept", str(self.agent.state.problem))
        self.files.full = False
        self.clock.advance(2 * RETRY_FIRST)
        self.assertIsNone(self.agent.state.problem)
        self.restart()
        self.assertRuns(b"two", 2, 2)

    def test_whoWasRevokedHoldsThoughItCanNotBeWrittenDown(self) -> None:
        self.files.full = True
        self.successResultOf(self.agent.revoked(["2b", "1a"]))
        self.assertEqual(self.revoked, [frozenset({"1a", "2b"})])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class ReturnTests(AgentCase):
    """
    Where the version before can't be run again.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.run_(1, b"one")
        self.trial(2, b"two", 1)
        self.runner.refusing = {b"one"}
        self.assertFalse(self.successResultOf(self.agent.rollback(2)).ready)

    def test_itIsToldAndTriedAgain(self) -> None:
        self.assertRuns(b"two", 2, 1)
        self.assertIn("already in use", str(self.agent.state.problem))
        self.clock.advance(RETRY_FIRST)
        self.assertRuns(b"two", 2, 1)
        self.runner.refusing = set()
        self.clock.advance(2 * RETRY_FIRST)
        self.assertRuns(b"one", 1, 1)
        self.assertIsNone(self.agent.state.problem)

    def test_whatWasCommittedAfterAllNeedNotGoBack(self) -> None:
        self.assertEqual(self.successResultOf(self.agent.confirm(2)), READY)
        self.clock.advance(100)
        self.assertRuns(b"two", 2, 2)
        self.assertIsNone(self.agent.state.problem)

    def test_itCanBeAskedAgain(self) -> None:
        self.runner.refusing = set()
        self.assertEqual(self.successResultOf(self.agent.rollback(2)), READY)
        self.assertRuns(b"one", 1, 1)

    def test_anotherVersionHelps(self) -> None:
        self.run_(3, b"three", 1)
        self.clock.advance(100)
        self.assertRuns(b"three", 3, 3)
        self.assertIsNone(self.agent.state.problem)


class RevocationTests(AgentCase):
    """
    Who was revoked.
    """

    def test_itIsKeptAndKnownAtTheNextStart(self) -> None:
        self.start()
        self.successResultOf(self.agent.revoked(["2b", "1a"]))
        self.successResultOf(self.agent.revoked(["1a", "2b"]))
        self.assertEqual(self.revoked, [frozenset({"1a", "2b"})])
        self.restart()
        self.assertEqual(self.revoked[1:], [frozenset({"1a", "2b"})])

    def test_whatCanNotBeReadIsTold(self) -> None:
        with open(os.path.join(self.directory, "revoked.json"), "w") as file:
            file.write("[1")
        self.start()
        self.assertEqual(self.revoked, [])
