"""
Tests for the operator's commands that ask a controller.
"""

from __future__ import annotations

import json
import os
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from twisted.internet.defer import Deferred, ensureDeferred

from hermes.cli import main
from hermes.test.control.operator.running import DOCUMENT, ControllerCase

SECOND = DOCUMENT.replace("weight: 50", "weight: 5")


class CommandCase(ControllerCase):
    """
    Runs C{hermes} against a controller.
    """

    def setUp(self) -> Any:
        starting = super().setUp()
        self.address = self.onSocket()
        self.file = self.mktemp() + ".yaml"
        os.makedirs(os.path.dirname(self.file), exist_ok=True)
        self.write(DOCUMENT)
        # No terminal, whatever trial runs on.
        self.patch(sys, "stdin", StringIO())
        return starting

    def write(self, document: str) -> None:
        """
        What is in the file.
        """
        Path(self.file).write_text(document)

    def call(self, *arguments: str, terminal: bool = False) -> Deferred[tuple[int, str]]:
        """
        @return: fires with its exit status and what it writes, blanks made one.
        """
        output = StringIO()
        console = Console(file=output, width=200, highlight=False, force_terminal=terminal or None)

        def run() -> tuple[int, str]:
            status = main([*arguments, "--controller", self.address], console)
            lines = [" ".join(line.split()) for line in output.getvalue().splitlines()]
            return status, "\n".join(lines)

        return self.inThread(run)


class ApplyTests(CommandCase):
    """
    C{hermes apply}, C{diff}, C{rollback}, C{history}.
    """

    async def test_theFirstVersionIsShownAndFollowedNodeByNode(self) -> None:
        status, text = await self.call("apply", self.file, "--yes", "-m", "the first")
        self.assertEqual(status, 0, text)
        self.assertIn("+overlay: example", text)
        self.assertIn("edge added +", text)
        self.assertIn("prepare: nodes build it beside what they run", text)
        for name in ("edge", "relay", "gateway"):
            self.assertRegex(text, rf"(?m)^{name} \(\d/3\)$")
        self.assertRegex(text, r"version 1 is committed on 3 nodes after \d+\.\d s")
        record = self.store.state.versions[1]
        self.assertEqual((record.document, record.comment, record.phase), (DOCUMENT, "the first", "committed"))

    async def test_aChangeThatIsUnderWayIsTakenBack(self) -> None:
        applying = self.call("apply", self.file, "--yes")
        while self.store.state.versions.get(1) is None or self.store.state.versions[1].phase != "trial":
            await self.inThread(lambda: None)
        status, text = await self.call("cancel")
        self.assertEqual(status, 0, text)
        self.assertIn("version 1 is aborted: every node runs what it ran before", text)
        self.assertIn("cancelled it", text)
        status, text = await applying
        self.assertEqual(status, 1)
        self.assertIn("version 1 is aborted", text)
        self.assertEqual(await self.call("cancel"), (1, "no change is under way"))
        status, text = await self.call("cancel", "--json")
        self.assertEqual((status, json.loads(text)), (1, {"cancelled": False, "outcome": None}))

    async def test_withoutATerminalItIsNotAppliedUnlessYes(self) -> None:
        status, text = await self.call("apply", self.file)
        self.assertEqual(status, 2)
        self.assertIn("nobody can be asked here: --yes", text)
        self.assertEqual(self.store.state.versions, {})

    async def test_whoSaysNoChangesNothing(self) -> None:
        class Terminal(StringIO):
            def isatty(self) -> bool:
                return True

        self.patch(sys, "stdin", Terminal("n\n"))
        status, text = await self.call("apply", self.file)
        self.assertEqual((status, text.splitlines()[-1]), (1, "nothing was changed"))
        self.patch(sys, "stdin", Terminal("y\n"))
        status, text = await self.call("apply", self.file)
        self.assertEqual(status, 0, text)

    async def test_whichNodeSaidWhatIsToldWhereOneRefuses(self) -> None:
        await self.applied()
        self.nodes["relay"].runner.refusing = {b"weight", b"relay"}
        self.write(DOCUMENT.replace("relay.example:8443", "relay.example:9443"))
        status, text = await self.call("apply", self.file, "--yes")
        self.assertEqual(status, 1)
        self.assertIn("version 2 is aborted: every node runs what it ran before", text)
        self.assertIn("relay (prepare): version 2: listener apps: address already in use", text)
        self.assertEqual(self.store.state.current, 1)

    async def test_aTestOfTheDocumentThatFailsRefusesIt(self) -> None:
        self.write(DOCUMENT.replace("cannot: [", "can: ["))
        status, text = await self.call("apply", self.file, "--yes")
        self.assertEqual(status, 1)
        self.assertIn("(controller): test 2: bob", text)
        self.assertIn("it is refused: nothing was changed", text)
        self.assertEqual(self.store.state.versions, {})

    async def test_aDocumentThatIsNoneIsToldWithItsLine(self) -> None:
        self.write("overlay: x\nnodes: {a: {}}\nlinkz: []\n")
        status, text = await self.call("apply", self.file, "--yes")
        self.assertEqual(status, 1)
        self.assertIn("overlay:3:1", text)
        self.assertIn("links", text)

    async def test_aFileThatCantBeReadIsAWrongCall(self) -> None:
        status, text = await self.call("apply", "/no/such/file.yaml", "--yes")
        self.assertEqual((status, text), (2, "/no/such/file.yaml: No such file or directory"))

    async def test_theSameAgainChangesNothing(self) -> None:
        await self.applied()
        status, text = await self.call("apply", self.file, "--yes")
        self.assertEqual(status, 0)
        self.assertIn("the overlay is at it already", text)

    async def test_jsonIsALineForEachStep(self) -> None:
        status, text = await self.call("apply", self.file, "--yes", "--json")
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual(status, 0)
        self.assertEqual(lines[0]["progress"]["step"], "validate")
        self.assertEqual(lines[-1]["outcome"]["result"], "committed")
        status, text = await self.call("apply", self.file, "--json")
        self.assertEqual((status, text), (2, "hermes apply: --json needs --yes"))

    async def test_theDifferenceIsColouredOnATerminal(self) -> None:
        await self.applied()
        self.write(SECOND)
        status, text = await self.call("diff", self.file, terminal=True)
        self.assertEqual(status, 0)
        self.assertIn("\x1b[32m+ - {between: [edge, gateway], weight: 5}\x1b[0m", text)
        status, text = await self.call("diff", self.file, "--nodes")
        self.assertIn("edge changed +", text)
        self.assertIn("--- edge", text)
        self.assertNotIn("\x1b", text)

    async def test_nothingInADocumentDrawsOnTheTerminal(self) -> None:
        self.write(DOCUMENT.replace("overlay: example", "overlay: example # [bold]evil\u202e"))
        _, text = await self.call("diff", self.file)
        self.assertIn("[bold]evil?", text)

    async def test_backToAnEarlierVersion(self) -> None:
        await self.applied()
        await self.applied(SECOND)
        status, text = await self.call("rollback", "1", "--yes")
        self.assertEqual(status, 0, text)
        self.assertIn("+ - {between: [edge, gateway], weight: 50}", text)
        self.assertIn("version 3 is committed", text)
        self.assertEqual(self.store.state.versions[3].document, DOCUMENT)
        self.assertEqual(self.store.state.versions[3].comment, "back to version 1")
        status, text = await self.call("rollback", "9", "--yes")
        self.assertEqual((status, text), (1, "there is no version 9"))
        status, text = await self.call("rollback", "1")
        self.assertEqual(status, 2)

    async def test_theHistoryIsListedAndShown(self) -> None:
        await self.applied(comment="[red]the first")
        await self.applied(SECOND, "alice")
        status, text = await self.call("history")
        self.assertEqual(status, 0)
        lines = text.splitlines()
        self.assertRegex(lines[1], r"^2 1 committed \S+ \S+ alice$")
        self.assertRegex(lines[2], r"^1 - committed \S+ \S+ ops \[red\]the first$")
        status, text = await self.call("history", "2")
        self.assertIn("version 2: committed, by alice", text)
        self.assertIn("- - {between: [edge, gateway], weight: 50}", text)
        status, text = await self.call("history", "1", "--document")
        self.assertIn("password: wonderland", text)
        status, text = await self.call("history", "--json", "-n", "1")
        self.assertEqual([each["number"] for each in json.loads(text)], [2])
        status, text = await self.call("history", "7")
        self.assertEqual((status, text), (1, "there is no version 7"))

    async def test_theAuditLogSaysWhoDidWhat(self) -> None:
        await self.call("apply", self.file, "--yes")
        status, text = await self.call("history", "--audit")
        self.assertEqual(status, 0)
        self.assertRegex(text, r"(?m)^1 \S+ \S+ \S+ local apply version 1 committed$")


class StatusTests(CommandCase):
    """
    C{hermes status}, C{nodes}, C{explain}, C{top}.
    """

    async def test_theOverlayAndItsNodes(self) -> None:
        status, text = await self.call("status")
        self.assertEqual(status, 0)
        self.assertIn("no version yet: hermes apply FILE", text)
        await self.applied(comment="the first")
        self.nodes["relay"].kill()
        status, text = await self.call("status")
        self.assertIn("version 1, by ops, ", text)
        self.assertIn(": the first", text)
        self.assertRegex(text, r"(?m)^edge current 1 1 1 now ")
        self.assertRegex(text, r"(?m)^relay away - 1 ")
        status, text = await self.call("nodes", "--json")
        self.assertEqual([node["name"] for node in json.loads(text)], ["edge", "gateway", "relay"])

    async def test_whatAsksANodeIsNotAskedOfAController(self) -> None:
        status, _ = await self.call("status", "--flows")
        self.assertEqual(status, 2)

    async def test_noControllerIsASentence(self) -> None:
        self.address = "unix:/no/such/socket"
        status, text = await self.call("status")
        self.assertEqual(
            (status, text), (1, "no controller answers at unix:/no/such/socket: No such file or directory")
        )
        self.address = "controller.example"
        status, text = await self.call("nodes")
        self.assertEqual(status, 2)
        self.assertIn("write unix:PATH or https://HOST:PORT", text)

    async def test_mayAliceReachTheDatabaseAndByWhichPath(self) -> None:
        await self.applied()
        status, text = await self.call("explain", "db.hermes:3306", "--user", "alice")
        self.assertEqual(status, 0)
        self.assertIn("alice at edge: db.hermes:3306: yes", text)
        self.assertIn("by edge > relay > gateway", text)
        self.assertIn("edge goes over gateway where the next can't be reached", text)
        status, text = await self.call("explain", "db.hermes:3306", "--user", "bob")
        self.assertEqual(status, 1)
        self.assertIn("bob at edge: db.hermes:3306: no", text)
        status, text = await self.call("explain", "db.hermes:3306", "--at", "nowhere")
        self.assertEqual((status, text), (1, "no node is called 'nowhere'"))
        status, text = await self.call("explain", "db.hermes", "--user", "alice")
        self.assertEqual(status, 1)
        status, text = await self.call("explain", "db.hermes:3306", "--source", "10.0.0.1")
        self.assertEqual(status, 2)
        status, text = await self.call("explain", "db.hermes:3306", "--user", "alice", "--json")
        self.assertTrue(json.loads(text)["edge"]["allowed"])

    async def test_topShowsRatesRoundTripsLossAndRefusals(self) -> None:
        await self.applied()
        carried = [0]

        def moving() -> dict[str, Any]:
            carried[0] += 125_000
            hop = {"connections": 2, "streams": 7, "roundTripSeconds": 0.0123, "segmentsSent": 100, "segmentsResent": 2}
            refusal = {"time": "2026-11-29T13:00:00.000+00:00", "listener": "apps", "user": "bob\x1b[2J"}
            return {
                "node": "edge",
                "uptimeSeconds": 61.0,
                "flows": {"open": 3},
                "requests": {"open": 4},
                "upstreams": [{"name": "relay", "type": "hop", "endpoints": [hop]}],
                "carried": {"relay": {"bytesSent": carried[0], "bytesReceived": 0}},
                "refusals": [refusal | {"target": "[red]db.hermes:3306", "error": "no route"}],
            }

        self.statuses["edge"] = moving
        status, text = await self.call("top", "--once", "--interval", "0.1")
        self.assertEqual(status, 0, text)
        self.assertIn("version 1, 3 of 3 nodes there", text)
        self.assertRegex(text, r"(?m)^edge current 1 1 min 3 4$")
        self.assertRegex(text, r"(?m)^edge > relay up 10 2 7 [\d.]+ [kM]?bit/s 0 bit/s 12\.3 ms 2 %$")
        self.assertRegex(text, r"(?m)^gateway - relay idle 10 - - - - - -$")
        self.assertRegex(text, r"(?m)^13:00:00 edge bob\?\[2J \[red\]db.hermes:3306 no route$")
        status, text = await self.call("top")
        self.assertEqual(status, 2)


class NodeTests(CommandCase):
    """
    What is done to one node.
    """

    async def test_enrolPrintsTheNextCommandToType(self) -> None:
        status, text = await self.call("enrol", "laptop")
        self.assertEqual(status, 0)
        self.assertRegex(
            text,
            r"twistd -n hermes-proxy --controller controller --token token-of-laptop --state /var/lib/hermes/laptop",
        )
        status, text = await self.call("enrol", "laptop", "--token-only")
        self.assertEqual((status, text), (0, "token-of-laptop"))

    async def test_drain(self) -> None:
        await self.applied()
        status, text = await self.call("drain", "relay", "--timeout", "5")
        self.assertEqual(status, 0, text)
        self.assertIn("relay is drained: every flow ended by itself", text)
        self.assertTrue(self.nodes["relay"].runner.drained)
        status, text = await self.call("drain", "nobody")
        self.assertEqual((status, text.splitlines()[-1]), (1, "nobody is not connected to this controller"))

    async def test_revokeAsksFirst(self) -> None:
        status, text = await self.call("node", "revoke", "relay")
        self.assertEqual((status, self.enrolment.shutOut), (2, []))
        status, text = await self.call("node", "revoke", "relay", "--yes")
        self.assertEqual((status, self.enrolment.shutOut), (0, ["relay"]))
        self.assertIn("relay is shut out", text)

    async def test_logsDrawNothingOnTheTerminal(self) -> None:
        agent: Any = self.nodes["relay"].agent
        self.patch(agent, "logs", lambda count: ensureDeferred(_lines(count)))
        status, text = await self.call("logs", "relay", "-n", "2")
        self.assertEqual((status, text), (0, "two [bold]\nthree?[2J"))

    async def test_aNodesOwnStatus(self) -> None:
        self.statuses["relay"] = lambda: {"flows": {"open": 1, "opened": 2, "refused": 0}, "version": "[red]x"}
        status, text = await self.call("node", "status", "relay")
        self.assertEqual(status, 0)
        self.assertIn("flows: 1 open, 2 opened, 0 refused", text)
        self.statuses["relay"] = lambda: {"listeners": [{"strange": 1}]}
        status, text = await self.call("node", "status", "relay")
        self.assertEqual(status, 1)
        self.assertIn("--json prints it", text)


async def _lines(count: int) -> list[str]:
    return ["one", "two [bold]", "three\x1b[2J"][-count:]
