"""
Tests of L{hermes.ndn.management.modules.strategychoice}.
"""

from __future__ import annotations

from ndn.app_support import nfd_mgmt
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.packet.name import Name
from hermes.test.ndn.management.nodes import App, Node
from hermes.test.ndn.management.test_statuses import fromPeer

A = Name.fromText("/a")
MULTICAST = Name.fromText("/localhost/nfd/strategy/multicast")


class StrategyModuleTests(SynchronousTestCase):
    """
    Commands and dataset.
    """

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(self.node.stop)
        self.app = App(self.node)

    def choices(self) -> dict[str, str]:
        """
        The dataset, as python-ndn reads it.
        """
        found = nfd_mgmt.StrategyChoiceMsg.parse(self.app.dataset("strategy-choice/list")).strategy_choices
        return {str(fromPeer(each.name)): str(fromPeer(each.strategy.name)) for each in found}

    def test_aStrategyIsChosenAndNoMore(self) -> None:
        [root] = self.choices()
        self.assertEqual(root, "/")
        response = self.app.command("strategy-choice/set", name=A, strategy=MULTICAST)
        self.assertEqual((response.code, response.text), (200, "OK"))
        whole = response.parameters.strategy
        assert whole is not None
        self.assertTrue(MULTICAST.isPrefixOf(whole))
        self.assertEqual(len(whole), len(MULTICAST) + 1)
        self.assertEqual(self.choices()["/a"], str(whole))
        for _ in range(2):
            self.assertEqual(self.app.command("strategy-choice/unset", name=A).code, 200)
            self.assertEqual(list(self.choices()), ["/"])

    def test_thatOfAllCanBeReplacedAndNotRemoved(self) -> None:
        self.assertEqual(self.app.command("strategy-choice/set", name=Name(), strategy=MULTICAST).code, 200)
        self.assertIn("multicast", self.choices()["/"])
        self.assertEqual(self.app.command("strategy-choice/unset", name=Name()).code, 400)

    def test_whatIsNoStrategyIsToldSo(self) -> None:
        for strategy in ("/localhost/nfd/strategy/frob", "/localhost/nfd/strategy/multicast/v=99", "/"):
            response = self.app.command("strategy-choice/set", name=A, strategy=Name.fromText(strategy))
            self.assertEqual((response.code, response.text), (404, "Strategy not registered"))

    def test_wrongParametersOfOneAreToldSo(self) -> None:
        for choice in self.node.forwarder.strategies.types:
            strategy = Name.fromText(f"{choice.name}/v={choice.version}/frob~x")
            response = self.app.command("strategy-choice/set", name=A, strategy=strategy)
            self.assertEqual(response.code, 409)
            self.assertTrue(response.text.startswith("Error instantiating strategy: "), response.text)

    def test_aLongPrefixIsToldSo(self) -> None:
        response = self.app.command("strategy-choice/set", name=Name.fromText("/a" * 33), strategy=MULTICAST)
        self.assertEqual((response.code, response.text), (414, "Prefix has too many components (limit is 32)"))
