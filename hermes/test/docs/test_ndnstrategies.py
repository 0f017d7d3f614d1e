"""
The page about strategies, typed in as a reader would; and its extension, on the path.
"""

from __future__ import annotations

import shutil
import sys
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.test.docs.console import Command, File, Reader, steps
from hermes.test.docs.pages import DOCS, EXAMPLES, MISSING
from hermes.test.ndn.forwarder.forwarding import NO_ROUTE, ForwardingCase, interest, value

PAGE = DOCS / "howto" / "ndn-strategies.md"
PACKAGE = EXAMPLES / "spread_strategy"


class StrategyPageTests(SynchronousTestCase):
    """
    A real node.
    """

    skip = MISSING

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(parents=True)

    def reader(self, *path: str) -> Reader:
        reader = Reader(self.directory, path=list(path))
        reader.substitute(6363)
        self.addCleanup(reader.stop)
        return reader

    def test_everyCommandPrintsWhatIsSaid(self) -> None:
        reader = self.reader()
        for step in steps(PAGE):
            # The files of the extension are for the other test.
            if not isinstance(step, File) or step.name == "edge.yaml":
                reader.do(step)

    def test_theExtensionIsFoundOnThePath(self) -> None:
        package = self.directory / "source"
        # A copy: Twisted writes its cache of plugins there.
        shutil.copytree(PACKAGE, package)
        reader = self.reader(str(package))
        reader.do(File("node.yaml", PACKAGE / "node.yaml"))
        reader.do(Command("hermes check node.yaml", ("OK node.yaml: node example", "...")))
        ready = "...node example is ready: names (ndn) on tcp:127.0.0.1:6363"
        reader.do(Command("twistd -n --pidfile=node.pid hermes-proxy --config node.yaml", (ready,)))
        chosen = " /videos      /example/strategy/spread/v=1/components~3"
        reader.do(Command("hermes ndn status strategies --forwarder tcp://127.0.0.1:6363", ("...", chosen, "...")))
        sentence = "the parameter components of the strategy spread is at least 1"
        wrong = f"node.yaml:6:27: listeners.names.strategies./videos: {sentence}"
        reader.do(Command("sed -i s/components~3/components~0/ node.yaml", ()))
        reader.do(Command("hermes check node.yaml", (wrong, "node.yaml: 1 problem")))


class SpreadTests(ForwardingCase):
    """
    What the extension does.
    """

    skip = MISSING

    def test_eachNameHasANextHopOfItsOwn(self) -> None:
        self.patch(sys, "path", [str(PACKAGE), *sys.path])
        spread = import_module("spread_strategy.spread")
        self.forwarder.strategies.types = [*self.forwarder.strategies.types, spread.SpreadType()]
        self.forwarder.strategies.set(value("/v"), self.forwarder.strategies.named("spread/components~2"))
        consumer, *upstreams = (self.face() for _ in range(4))
        self.route("/v", *upstreams)
        ways = set()
        for object_ in range(40):
            for segment in range(3):
                consumer.express(interest(f"/v/{object_}/{segment}", nonce=100 * object_ + segment))
            (way,) = [number for number, face in enumerate(upstreams) if face.took()]
            ways.add(way)
        self.assertEqual(ways, {0, 1, 2})
        for upstream in upstreams:
            self.forwarder.faceDown(upstream)
        consumer.express(interest("/v/x", nonce=1))
        self.assertEqual([(sent.what, sent.reason) for sent in consumer.take()], [("nack", NO_ROUTE)])
