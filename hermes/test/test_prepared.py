"""
Tests for L{hermes.prepared}: a configuration beside the one that runs.
"""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.types import Seconds
from hermes.errors import HermesError
from hermes.node import Node, NodeError, Prepared, Reloaded
from hermes.test.fakes import FakeAssembly, FakeListener, FakeOptions
from hermes.test.test_node import FLOW, nodeConfig


class PreparedTests(SynchronousTestCase):
    """
    Prepare, then commit or discard.
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

    def prepare(self, node: Node, **listeners: FakeOptions) -> Prepared:
        """
        Have it prepare other listeners.
        """
        return self.successResultOf(node.prepare(nodeConfig(**listeners)))

    def last(self, name: str) -> FakeListener:
        """
        The listener of that name that was made last.
        """
        return [listener for listener in self.assembly.made if listener.name == name][-1]

    def test_whatIsPreparedChangesNothingThatRuns(self) -> None:
        node = self.started(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        before, router, upstreams = node.config, node.flows.router, node.upstreams
        prepared = self.prepare(node, a=FakeOptions("h:1"), b=FakeOptions("h:2", "new"), c=FakeOptions("h:3"))
        self.assertIs(node.config, before)
        self.assertIs(node.flows.router, router)
        self.assertIs(node.upstreams, upstreams)
        self.assertEqual(node.addresses(), {"a": "h:1", "b": "h:2"})
        self.assertEqual(self.assembly.taken, {"h:1", "h:2"})
        self.assertEqual([each.calls for each in self.assembly.made], [["start"], ["start"], [], []])
        self.assertEqual((len(self.assembly.committed), self.assembly.discarded), (1, []))
        self.assertEqual(
            self.successResultOf(prepared.commit()), Reloaded(kept=("a",), started=("b", "c"), stopped=("b",))
        )
        self.assertIs(node.config, prepared.config)
        self.assertEqual(node.addresses(), {"a": "h:1", "b": "h:2", "c": "h:3"})

    def test_flowsAndListenersThatTheChangeDoesNotConcernAreTheSameObjects(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        far = StringTransport()
        node.flows.openStream(FLOW)
        _, dialed, protocol = self.assembly.direct.asked.pop()
        protocol.makeConnection(far)
        dialed.callback(protocol)
        listener, record = node.listeners["a"], node.flows.openFlows()[0]
        prepared = self.prepare(node, a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        self.successResultOf(prepared.commit())
        self.assertIs(node.listeners["a"], listener)
        self.assertEqual(self.last("a").calls, ["start"])
        self.assertIs(node.flows.openFlows()[0], record)
        self.assertFalse(far.disconnecting)

    def test_itsPlacesAreHeldUntilItIsDecided(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        prepared = self.prepare(node, a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        self.assertEqual(self.last("b").held, 1)
        self.successResultOf(prepared.commit())
        self.assertEqual(self.last("b").held, 0)
        prepared = self.prepare(node, a=FakeOptions("h:1"), c=FakeOptions("h:3"))
        self.successResultOf(prepared.discard())
        self.assertEqual((self.last("c").held, self.last("c").calls), (0, []))

    def test_aPlaceThatSomebodyHasRefusesIt(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        self.assembly.taken.add("h:9")
        error = self.failureResultOf(
            node.prepare(nodeConfig(a=FakeOptions("h:1"), b=FakeOptions("h:2"), c=FakeOptions("h:9"))), NodeError
        ).value
        self.assertEqual(str(error), "listener c: can't listen on h:9: address already in use")
        self.assertEqual(self.last("b").held, 0)
        self.assertEqual((len(self.assembly.committed), len(self.assembly.discarded)), (1, 1))

    def test_aPlaceThatIsHandedOnIsHeldBesideTheOneThatHasIt(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        prepared = self.prepare(node, b=FakeOptions("h:1"))
        self.assertEqual(self.last("b").held, 1)
        self.assertEqual(self.last("a").calls, ["start"])
        self.successResultOf(prepared.commit())
        self.assertEqual((node.addresses(), self.last("b").held), ({"b": "h:1"}, 0))

    def test_optionsThatAListenerTakesWhileItRunsMayNeedWhatCanNotBeHad(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        listener = self.last("a")
        listener.takes = ("more", "too much")
        config = nodeConfig(a=FakeOptions("h:1", "too much"), b=FakeOptions("h:2"))
        error = self.failureResultOf(node.prepare(config), NodeError).value
        self.assertEqual(str(error), "listener a: that is too much")
        self.assertEqual((listener.options.note, self.last("b").held), ("", 0))
        prepared = self.prepare(node, a=FakeOptions("h:1", "more"))
        self.successResultOf(prepared.commit())
        self.assertEqual(listener.options.note, "more")

    def test_whatTakesTimeToHoldHoldsUpOtherChanges(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        holds: Deferred[None] = Deferred()
        self.assembly.holding = holds
        preparing = node.prepare(nodeConfig(a=FakeOptions("h:1"), b=FakeOptions("h:2")))
        stopping = node.stop()
        self.assertNoResult(preparing)
        self.assertNoResult(stopping)
        holds.callback(None)
        prepared = self.successResultOf(preparing)
        self.successResultOf(stopping)
        self.assertEqual(self.last("b").held, 0)
        self.failureResultOf(prepared.commit(), NodeError)

    def test_aPlaceThatWasTakenMeanwhileLeavesTheOldRunning(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        before = node.config
        prepared = self.prepare(node, a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        self.assembly.taken.add("h:2")
        self.failureResultOf(prepared.commit(), NodeError)
        self.assertIs(node.config, before)
        self.assertEqual(node.addresses(), {"a": "h:1"})
        self.assertEqual(self.assembly.discarded, [prepared.after])
        self.assertEqual(self.last("b").held, 0)

    def test_whatIsDiscardedIsClosedOnce(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        prepared = self.prepare(node)
        self.successResultOf(prepared.discard())
        self.successResultOf(prepared.discard())
        self.assertEqual(self.assembly.discarded, [prepared.after])
        self.assertEqual(str(self.failureResultOf(prepared.commit(), NodeError).value), SPENT)
        self.assertEqual(node.addresses(), {"a": "h:1"})

    def test_itCanNotBeCommittedTwice(self) -> None:
        node = self.started()
        prepared = self.prepare(node, a=FakeOptions("h:1"))
        self.successResultOf(prepared.commit())
        self.assertEqual(str(self.failureResultOf(prepared.commit(), NodeError).value), SPENT)
        self.successResultOf(prepared.discard())
        self.assertEqual((node.addresses(), self.assembly.discarded), ({"a": "h:1"}, []))

    def test_itIsNoGoodOnceTheNodeHasAnotherConfiguration(self) -> None:
        node = self.started()
        prepared = self.prepare(node, a=FakeOptions("h:1"))
        other = self.prepare(node, b=FakeOptions("h:2"))
        self.successResultOf(other.commit())
        error = self.failureResultOf(prepared.commit(), NodeError).value
        self.assertEqual(str(error), "the node has taken another configuration since this one was prepared")
        self.assertEqual(self.assembly.discarded, [prepared.after])
        self.assertEqual(node.addresses(), {"b": "h:2"})

    def test_aFileThatWentBadMeanwhileLeavesTheOldRunning(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        prepared = self.prepare(node, a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        self.last("a").badFiles = True
        self.failureResultOf(prepared.commit(), HermesError)
        self.assertEqual((node.addresses(), self.last("a").filesRead), ({"a": "h:1"}, 0))
        self.assertEqual(self.assembly.discarded, [prepared.after])

    def test_whatANodeHasPreparedEndsWithIt(self) -> None:
        node = self.started(a=FakeOptions("h:1"))
        prepared = self.prepare(node, b=FakeOptions("h:2"))
        self.successResultOf(node.stop())
        self.assertIn(prepared.after, self.assembly.discarded)
        self.assertEqual(self.last("b").held, 0)
        self.failureResultOf(prepared.commit(), NodeError)
        self.failureResultOf(node.prepare(node.config), NodeError)

    def test_aNodeThatDrainsTakesNothing(self) -> None:
        node = self.started()
        prepared = self.prepare(node, b=FakeOptions("h:2"))
        node.flows.openStream(FLOW)
        node.drain(10)
        self.failureResultOf(prepared.commit(), NodeError)
        self.assertEqual(self.assembly.discarded, [prepared.after])

    def test_preparingWaitsForAReloadThatIsUnderWay(self) -> None:
        node = self.started()
        reloading = node.reload(nodeConfig(a=FakeOptions("h:1")))
        self.successResultOf(reloading)
        waits: Deferred[None] = Deferred()
        prepared = self.prepare(node, b=FakeOptions("h:2"))
        self.last("b").waits = waits
        committing = prepared.commit()
        preparing = node.prepare(evolve(node.config, drain=Seconds(5.0)))
        self.assertNoResult(committing)
        self.assertNoResult(preparing)
        waits.callback(None)
        self.successResultOf(committing)
        # It stands on what the node runs now.
        self.assertIs(self.successResultOf(preparing).before, prepared.after)


SPENT = "this configuration was taken or forgotten before"
