"""
Tests for L{hermes.commands.ndn}: C{get} and C{put} at a forwarder in memory. L{hermes.test.ndn.test_commandsnode} has
them at a node.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred

from hermes.cli import main
from hermes.commands.ndn.common import FAILED, NACK, OK, TIMEOUT, USAGE
from hermes.commands.ndn.get import get, window
from hermes.commands.ndn.put import put
from hermes.ndn.app.windows import AimdWindow, CubicWindow, FixedWindow
from hermes.ndn.packet.component import segment
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.test.ndn.app.fetches import content
from hermes.test.ndn.publishing import Published


class GetPutTests(Published):
    """
    C{get} and C{put}.
    """

    def test_whatOneHasPutAnotherGets(self) -> None:
        self.put()
        self.assertRegex(self.output.getvalue(), r"^/a/file/v=\d+: 7 segments\n")
        for pipeline in ("fixed", "aimd", "cubic"):
            self.assertEqual(self.get("--pipeline", pipeline), OK)
            self.assertEqual(self.got(), content(50_000))
            os.unlink(self.target)
        text = self.output.getvalue()
        self.assertRegex(text, r"/a/file/v=\d+: all segments have been received\.")
        self.assertIn("Segments received: 7\n", text)
        self.assertIn("Transferred size: 50.000 kB\n", text)
        self.assertIn("RTT min/avg/max = 20.000/20.000/20.000 ms", text)
        self.assertEqual(os.listdir(os.path.dirname(self.target)), ["file"])

    def test_toStandardOutput(self) -> None:
        self.put()
        each: tuple[str, ...]
        for each in ((), ("-o", "-")):
            output = self.standardOutput()
            self.assertEqual(self.run_(get, self.options("get", "/a/file", *each)), OK)
            self.assertEqual(output.getvalue(), content(50_000))

    def test_quietItSaysNothing(self) -> None:
        self.put("-q")
        self.assertEqual(self.get("-q"), OK)
        self.assertEqual(self.output.getvalue(), "")

    def test_lossesAreCounted(self) -> None:
        self.put("-s", "500")
        self.network.loses = lambda view: view.name.endswith(segment(13)) and not self.lost(view)
        self.lost_: list[Any] = []
        self.assertEqual(self.get("--pipeline", "fixed", "--window", "5"), OK)
        self.assertEqual(self.got(), content(50_000))
        self.assertIn("Timeouts: 0, overtaken: 1, of 101 Interests (0.99%)", self.output.getvalue())

    def lost(self, view: Any) -> bool:
        """
        Whether one was lost already; if not, one is now.
        """
        if self.lost_:
            return True
        self.lost_.append(view)
        return False

    def test_theVersionAndOptionsAreThoseThatAreGiven(self) -> None:
        options = self.options("put", "/a/file/v=7", self.source, "-f", "50", "-s", "1000", "-p")
        with open(self.source, "rb") as file:
            client = self.network.client()
            Deferred.fromCoroutine(put(client, options, file, self.console))
            self.network.run(0.5)
            self.assertEqual(self.output.getvalue(), "v=7\n")
            data = self.network.result(self.network.client().express(Name.fromText("/a/file/v=7/seg=0")))
            self.assertEqual((len(data.content), data.metaInfo), (1000, MetaInfo(freshness=50, finalBlock=segment(49))))
            self.assertEqual(self.network.routes.keys(), {Name.fromText("/a/file").value})

    def test_withoutAVersion(self) -> None:
        self.put("--no-version")
        self.assertEqual(self.get("--discover", "none"), OK)
        self.assertEqual(self.get("-D"), OK)
        self.assertEqual(self.got(), content(50_000))
        self.assertEqual(self.get(), OK)
        self.assertEqual(self.got(), content(50_000))

    def test_whatIsNotThereIsANack(self) -> None:
        self.assertEqual(self.get(), NACK)
        self.assertIn("hermes ndn get: /a/file: no route (Nack)", self.output.getvalue())
        self.assertFalse(os.path.exists(self.target))

    def test_whereNobodyAnswersItIsATimeout(self) -> None:
        self.put()
        self.network.loses = lambda view: True
        self.assertEqual(self.get("-l", "200"), TIMEOUT)
        self.assertFalse(os.path.exists(self.target) or os.path.exists(f"{self.target}.part"))

    def test_halfAFileIsNone(self) -> None:
        self.put("-s", "1000")
        self.network.loses = lambda view: view.name.endswith(segment(30))
        self.assertEqual(self.get("-r", "2", "-l", "200"), FAILED)
        self.assertIn("segment 30 can't be had", self.output.getvalue())
        self.assertEqual(os.listdir(os.path.dirname(self.target)), ["file"])

    def test_whereItCannotBeWrittenItFails(self) -> None:
        self.put()
        self.target = os.path.join(self.source, "x")
        self.assertEqual(self.get(), FAILED)
        self.assertEqual(self.output.getvalue().splitlines()[-1], f"hermes ndn get: {self.target}: Not a directory")

    def test_whenTheForwarderGoesAwayPutFails(self) -> None:
        waiting = self.put()
        self.network.ends[-1].loseConnection()
        self.assertEqual(self.successResultOf(waiting), FAILED)
        self.assertIn("the connection to the forwarder has ended", self.output.getvalue())

    def test_segmentsThatAreTooLargeAreAWrongCall(self) -> None:
        options = self.options("put", "/a/file", self.source, "-s", "9000")
        with open(self.source, "rb") as file:
            self.assertEqual(self.run_(put, options, file), USAGE)
        self.assertIn("too large", self.output.getvalue())

    def test_windows(self) -> None:
        for arguments, kind, size in (
            (("--pipeline", "fixed", "-s", "7"), FixedWindow, 7),
            (("--pipeline-type", "fixed", "--pipeline-size", "8"), FixedWindow, 8),
            (("-p", "aimd", "--init-cwnd", "5"), AimdWindow, 5),
            ((), CubicWindow, 2),
        ):
            found = window(self.options("get", "/a", *arguments))
            self.assertIsInstance(found, kind)
            self.assertEqual(found.size, size)
        wrong: tuple[str, ...]
        for wrong, what in (
            (("-p", "aimd", "--aimd-beta", "2"), "reduced"),
            (("--cubic-beta", "0"), "reduced"),
            (("--init-cwnd", "0"), "nothing through"),
        ):
            options = self.options("get", "/a", *wrong)
            self.assertEqual(self.run_(get, options), USAGE)
            self.assertIn(what, self.output.getvalue())

    def test_pipelineOptionsDoWhatTheySay(self) -> None:
        each: tuple[str, ...]
        for name, beta, kept in (("aimd", "--aimd-beta", 0.8), ("cubic", "--cubic-beta", 0.9)):
            found = window(self.options("get", "/a", "-p", name, beta, str(kept), "--init-cwnd", "100"))
            found.lost(0)
            self.assertAlmostEqual(found.size, 100 * kept)
        found = window(self.options("get", "/a", "-p", "aimd", "--init-ssthresh", "2", "--aimd-step", "4"))
        found.received(0, 0.1, 0.1)
        self.assertEqual(found.size, 4)
        found = window(self.options("get", "/a", "-p", "aimd", "--init-cwnd", "9", "--reset-cwnd-to-init"))
        for _ in range(50):
            found.received(0, 0.1, 0.1)
        found.lost(0)
        self.assertEqual(found.size, 9)
        sizes = []
        for each in ((), ("--disable-hystart",)):
            found = window(self.options("get", "/a", "--init-cwnd", "100", *each))
            for number in range(3000):
                found.received(0, 0.1, 0.001 * number)
            sizes.append(found.size)
        self.assertLess(sizes[0], 2000)
        self.assertEqual(sizes[1], 3100)
        converged = [window(self.options("get", "/a", *each)) for each in ((), ("--fast-conv",))]
        for found in converged:
            for _ in range(400):
                found.received(0, 0.1, 0.1)
            found.lost(0)
            found.lost(1)
            for number in range(400):
                found.received(1 + number / 50, 1.0, 1.0)
        self.assertLess(converged[1].size, converged[0].size)

    def test_marksAndLossesCountAsTheOptionsSay(self) -> None:
        self.put("-s", "100")
        self.network.marks = lambda view: 1
        most = []
        for arguments in ((), ("--ignore-marks",), ("--disable-cwa",)):
            self.network.interests.clear()
            self.assertEqual(self.get(*arguments), OK)
            most.append(float(self.output.getvalue().rpartition("Time elapsed: ")[2].split()[0]))
        self.assertLess(most[1], most[0])
        self.assertLessEqual(most[0], most[2])

    def test_wrongCalls(self) -> None:
        for arguments, what in (
            (("get",), "NAME"),
            (("get", "a//b"), "..."),
            (("get", "/a", "-r", "-2"), "-1 or more"),
            (("get", "/a", "-l", "x"), "number"),
            (("get", "/a", "--init-cwnd", "nan"), "no number"),
            (("get", "/a", "--anchor", "/nowhere"), "No such file"),
            (("get", "/a", "--anchor", self.source), "certificate"),
            (("get", "/a", "--rule", "/a"), "/PREFIX=/SIGNERS"),
            (("put", "/a", "-s", "0"), "1 or more"),
            (("peek", "/a", "-H", "256"), "up to 255"),
            (("nothing",), "invalid choice"),
        ):
            self.assertIn(what, self.wrong(*arguments))

    def test_rulesWithoutAnAnchorAreAWrongCall(self) -> None:
        for tool in ("get", "peek"):
            self.assertEqual(main(["ndn", tool, "/a", "--rule", "/a=/b"], self.console), USAGE)

    def test_aFileThatIsNotThere(self) -> None:
        for tool in ("put", "poke"):
            self.assertEqual(main(["ndn", tool, "/a", "/nowhere"], self.console), FAILED)
            self.assertIn(f"hermes ndn {tool}: /nowhere: No such file or directory", self.output.getvalue())
