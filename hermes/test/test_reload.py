"""
Tests for L{hermes.node.Node.reload}.
"""

from __future__ import annotations

from attrs import evolve
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.types import Seconds, WorkerCount
from hermes.errors import HermesError
from hermes.node import Node, NodeError, Reloaded
from hermes.test.fakes import FakeAssembly, FakeListener, FakeOptions
from hermes.test.test_node import FLOW, nodeConfig


class ReloadTests(SynchronousTestCase):
    """
    A new configuration beside the old.
    """

    def setUp(self) -> None:
        self.assembly = FakeAssembly()

    def started(self, **listeners: FakeOptions) -> Node:
        """
        A node that runs.
        """
        node = Node(self.assembly.clock, nodeConfig(**listeners), self.assembly)
        self.successResultOf(node.start())
        return node

    def reload(self, node: Node, **listeners: FakeOptions) -> Reloaded:
        """
        Give it other listeners.
        """
        return self.successResultOf(node.reload(nodeConfig(**listeners)))

    def last(self, name: str) -> FakeListener:
        """
        The listener of that name that was made last.
        """
        return [listener for listener in self.assembly.made if listener.name == name][-1]

    def test_listenersThatDidNotChangeStayBound(self) -> None:
        node = self.started(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        self.assertEqual(
            self.reload(node, a=FakeOptions("h:1"), b=FakeOptions("h:2", "new"), c=FakeOptions("h:3")),
            Reloaded(kept=("a",), started=("b", "c"), stopped=("b",)),
        )
        self.assertEqual([listener.calls for listener in self.assembly.made[:1]], [["start"]])
        self.assertEqual(self.last("b").options.note, "new")
        self.assertEqual(node.addresses(), {"a": "h:1", "b": "h:2", "c": "h:3"})

    def test_aListenerThatStaysReadsItsCertificatesAgain(self) -> None:
        node = self.started(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        first, second = self.last("a"), self.last("b")
        self.reload(node, a=FakeOptions("h:1"))
        self.assertEqual((first.filesRead, second.filesRead), (1, 0))

    def test_whereACertificateIsBadAllStaysAsItWas(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        self.last("a").badFiles = True
        error = self.failureResultOf(node.reload(nodeConfig(a=FakeOptions("h:1"), b=FakeOptions("h:2"))), HermesError)
        self.assertIn("no key", str(error.value))
        self.assertEqual((self.last("a").filesRead, list(node.listeners)), (0, ["a"]))

    def test_aRemovedListenerAcceptsNothingMoreAndItsFlowsGoOn(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        far = StringTransport()
        node.flows.openStream(FLOW)
        _, dialed, protocol = self.assembly.direct.asked.pop()
        protocol.makeConnection(far)
        dialed.callback(protocol)
        self.assertEqual(self.reload(node).stopped, ("a",))
        self.assertEqual(self.assembly.made[0].calls, ["start", "stop", "drain"])
        self.assertEqual(self.assembly.taken, set())
        self.assertEqual(len(node.flows.openFlows()), 1)
        self.assertFalse(far.disconnecting)

    def test_anAddressIsHandedOnFromOneListenerToAnother(self) -> None:
        node = self.started(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        self.reload(node, a=FakeOptions("h:2"), c=FakeOptions("h:1"))
        self.assertEqual(node.addresses(), {"a": "h:2", "c": "h:1"})
        self.assertEqual(self.assembly.taken, {"h:1", "h:2"})

    def test_aNewAddressThatCanNotBeBoundLeavesTheOldConfigurationRunning(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        self.assembly.taken.add("h:9")
        before = node.config
        failure = self.failureResultOf(node.reload(nodeConfig(a=FakeOptions("h:7"), b=FakeOptions("h:9"))), NodeError)
        self.assertIn("listener b: can't listen on h:9", str(failure.value))
        self.assertIs(node.config, before)
        self.assertEqual(node.addresses(), {"a": "h:1"})
        self.assertEqual(self.assembly.made[0].calls, ["start"])
        self.assertEqual(self.assembly.taken, {"h:1", "h:9"})
        self.assertEqual((len(self.assembly.committed), len(self.assembly.discarded)), (1, 1))

    def test_anAddressThatWasClosedForNothingIsBoundAgain(self) -> None:
        node = self.started(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        # Another address of the same port: it must wait until the old one is closed, and is then refused.
        config = nodeConfig(a=FakeOptions("h:1", "new"), b=FakeOptions("other:2"))
        prepared = self.successResultOf(node.prepare(config))
        self.assembly.taken.add("other:2")
        self.failureResultOf(prepared.commit(), NodeError)
        self.assertEqual(node.addresses(), {"a": "h:1", "b": "h:2"})
        self.assertEqual(self.last("a").options.note, "")
        self.assertEqual(self.last("a").calls, ["start"])
        self.assertEqual(self.assembly.taken, {"h:1", "h:2", "other:2"})

    def test_whereAnAddressCanNotBeHadWhateverIsClosedNothingIs(self) -> None:
        node = self.started(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        self.assembly.taken.add("other:2")
        config = nodeConfig(a=FakeOptions("h:1", "new"), b=FakeOptions("other:2"))
        error = self.failureResultOf(node.reload(config), NodeError).value
        self.assertEqual(str(error), "listener b: can't listen on other:2: address already in use")
        self.assertEqual([each.calls for each in self.assembly.made], [["start"], ["start"], [], []])
        self.assertEqual([each.held for each in self.assembly.made], [0, 0, 0, 0])

    def test_aListenerTakesNewOptionsWhileItRuns(self) -> None:
        node = self.started(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        first = self.last("a")
        first.takes = ("new",)
        done = self.reload(node, a=FakeOptions("h:1", "new"), b=FakeOptions("h:2"))
        self.assertEqual(done, Reloaded(kept=("b",), started=(), stopped=(), changed=("a",)))
        self.assertEqual(first.calls, ["start", "reconfigure new"])
        self.assertIs(self.last("a"), first)
        # It is those that the next change is compared with.
        self.assertEqual(self.reload(node, a=FakeOptions("h:1", "new"), b=FakeOptions("h:2")).kept, ("a", "b"))

    def test_aListenerThatCanNotTakeThemIsBoundAnew(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        self.last("a").takes = ("new",)
        done = self.reload(node, a=FakeOptions("h:1", "other"))
        self.assertEqual(done, Reloaded(kept=(), started=("a",), stopped=("a",)))
        self.assertEqual(self.assembly.made[0].calls, ["start", "stop", "drain"])

    def test_optionsThatAListenerFindsBadRefuseTheReload(self) -> None:
        node = self.started(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        failure = self.failureResultOf(
            node.reload(nodeConfig(a=FakeOptions("h:1", "bad"), b=FakeOptions("h:3"))), HermesError
        )
        self.assertEqual(str(failure.value), "these options are bad")
        self.assertEqual(node.addresses(), {"a": "h:1", "b": "h:2"})
        self.assertEqual((len(self.assembly.committed), len(self.assembly.discarded)), (1, 1))

    def test_nothingIsReconfiguredWhereAnotherListenerCanNotBeBound(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        self.last("a").takes = ("new",)
        self.assembly.taken.add("h:9")
        self.failureResultOf(node.reload(nodeConfig(a=FakeOptions("h:1", "new"), b=FakeOptions("h:9"))), NodeError)
        self.assertEqual(self.last("a").calls, ["start"])
        self.assertIsNone(self.last("a").routes)

    def test_aListenerThatFailsToTakeItsOptionsDoesNotHoldUpTheOthers(self) -> None:
        node = self.started(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        self.last("a").takes = ("broken",)
        self.last("b").takes = ("new",)
        done = self.reload(node, a=FakeOptions("h:1", "broken"), b=FakeOptions("h:2", "new"))
        self.assertEqual(done.changed, ("a", "b"))
        self.assertEqual(self.last("b").options.note, "new")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_listenersThatStayHearOfNewRoutesOnceTheyHold(self) -> None:
        node = self.started(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        self.last("b").takes = ("new",)
        self.reload(node, a=FakeOptions("h:1"), b=FakeOptions("h:2", "new"))
        router = self.assembly.committed[-1].router
        self.assertIsNot(router, self.assembly.committed[0].router)
        self.assertIs(self.last("a").routes, router)
        self.assertIs(self.last("b").routes, router)

    def test_oneOfSeveralAddressesIsHandedOn(self) -> None:
        node = self.started(a=FakeOptions(("tcp:h:1", "udp:h:2", "unix:/s")), b=FakeOptions("h:3"))
        self.reload(node, a=FakeOptions(("tcp:h:3", "udp:h:2")), b=FakeOptions("h:4"), c=FakeOptions("unix:/s"))
        self.assertEqual(self.assembly.taken, {"tcp:h:3", "udp:h:2", "h:4", "unix:/s"})
        self.assertEqual(self.assembly.made[0].calls, ["start", "stop", "drain"])

    def test_whatCanNotBeMadeLeavesTheOldConfigurationRunning(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        self.assembly.refuses = HermesError("identity.certificate: not a certificate")
        failure = self.failureResultOf(node.reload(nodeConfig()), HermesError)
        self.assertEqual(str(failure.value), "identity.certificate: not a certificate")
        self.assertEqual(node.addresses(), {"a": "h:1"})

    def test_aListenerThatStaysSeesNewUsers(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        context = self.assembly.made[0].context
        assert context is not None
        authenticator = context.authenticator
        self.assertEqual(authenticator.authenticate(b"30.0"), "user")
        self.successResultOf(node.reload(evolve(node.config, drain=Seconds(5.0))))
        self.assertEqual(authenticator.authenticate(b"5.0"), "user")
        self.assertIsNone(authenticator.authenticate(b"30.0"))
        self.assertTrue(authenticator.authenticatePassword("user", "5.0"))

    def test_nameAndWorkersOfANodeStay(self) -> None:
        node = self.started()
        failure = self.failureResultOf(node.reload(evolve(node.config, workers=WorkerCount(2))), NodeError)
        self.assertEqual(str(failure.value), "'workers' can't change from 1 to 2 while the node runs: restart it")

    def test_aNodeThatDrainsTakesNoConfiguration(self) -> None:
        node = self.started()
        self.successResultOf(node.drain(1))
        self.failureResultOf(node.reload(node.config), NodeError)

    def test_removedListenersEndWithTheNode(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        self.reload(node)
        self.successResultOf(node.stop())
        self.assertEqual(self.assembly.made[0].calls, ["start", "stop", "drain", "abort"])
