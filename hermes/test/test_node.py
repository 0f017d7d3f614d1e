"""
Tests for L{hermes.node}: start, drain, stop.
"""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hermes.admin.status import Status
from hermes.config import AdminConfig, ListenerConfig, NodeConfig
from hermes.config.types import Name, SocketAddress
from hermes.errors import ShuttingDown
from hermes.node import LINGER, PARTING, Node, NodeError
from hermes.test.fakes import FakeAssembly, FakeOptions
from hermes.values import Flow, Target

FLOW = Flow("tcp", Target("db.example", 3306))


def nodeConfig(**listeners: FakeOptions) -> NodeConfig:
    """
    The configuration of a node with these listeners.
    """
    return NodeConfig(
        Name("edge"), listeners={name: ListenerConfig("fake", options) for name, options in listeners.items()}
    )


class NodeTests(SynchronousTestCase):
    """
    A node from its start to its end.
    """

    def setUp(self) -> None:
        self.assembly = FakeAssembly()

    def node(self, **listeners: FakeOptions) -> Node:
        """
        A node that has not been started.
        """
        return Node(self.assembly.clock, nodeConfig(**listeners), self.assembly)

    def open(self, node: Node) -> tuple[IProtocol, IProtocol]:
        """
        Open a flow through a node; the near end and the far.
        """
        opened = node.flows.openStream(FLOW)
        _, dialed, far = self.assembly.direct.asked.pop()
        far.makeConnection(StringTransport())
        dialed.callback(far)
        return self.successResultOf(opened), far

    def close(self, near: IProtocol, far: IProtocol) -> None:
        """
        End a flow.
        """
        near.makeConnection(StringTransport())
        for end in (near, far):
            end.connectionLost(Failure(ConnectionDone()))

    def test_itBindsEveryListener(self) -> None:
        node = self.node(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        self.assertEqual(node.addresses(), {})
        self.successResultOf(node.start())
        self.assertEqual(node.addresses(), {"a": "h:1", "b": "h:2"})
        self.assertEqual(node.listeners["a"].name, "a")

    def test_oneListenerThatCanNotBeBoundLeavesNoneBound(self) -> None:
        self.assembly.taken.add("h:2")
        node = self.node(a=FakeOptions("h:1"), b=FakeOptions("h:2"))
        error = self.failureResultOf(node.start(), NodeError).value
        self.assertEqual(str(error), "listener b: can't listen on h:2: address already in use")
        self.assertEqual(node.addresses(), {})
        self.assertEqual(self.assembly.taken, {"h:2"})

    def test_listenersKnowTheNode(self) -> None:
        node = self.node(a=FakeOptions())
        self.successResultOf(node.start())
        context = self.assembly.made[0].context
        assert context is not None
        self.assertEqual(context.nodeName, "edge")
        self.assertIs(context.flows, node.flows)
        self.assertEqual(context.authenticator.authenticate(b"30.0"), "user")

    def test_drainingWaitsForFlowsAndThenEnds(self) -> None:
        node = self.node(a=FakeOptions())
        self.successResultOf(node.start())
        near, far = self.open(node)
        drained = node.drain(10)
        self.assertNoResult(drained)
        self.assertEqual(self.assembly.made[0].calls, ["start", "stop", "drain"])
        self.failureResultOf(node.flows.openStream(FLOW), ShuttingDown)
        self.close(near, far)
        self.assertTrue(self.successResultOf(drained))
        self.assertEqual(self.assembly.made[0].calls[-1], "abort")
        self.assertEqual(self.assembly.discarded, self.assembly.committed)
        self.assertEqual(self.assembly.clock.getDelayedCalls(), [])

    def test_whatDrainsHasNoAddressAnyMoreButTheAdminListenerHas(self) -> None:
        config = evolve(nodeConfig(a=FakeOptions("h:1")), admin=AdminConfig(SocketAddress("h:2")))
        node = Node(self.assembly.clock, config, self.assembly)
        self.successResultOf(node.start())
        self.open(node)
        drained = node.drain(10)
        self.assertNoResult(drained)
        self.assertEqual(node.addresses(), {"(admin)": "h:2"})
        summary = Status(node, "1", self.assembly.clock.seconds).summary()
        self.assertTrue(summary["draining"])
        self.assertEqual([each["name"] for each in summary["listeners"]], ["(admin)"])

    def test_drainingWaitsNoLongerThanItMay(self) -> None:
        node = self.node(a=FakeOptions())
        self.successResultOf(node.start())
        far = StringTransport()
        opened = node.flows.openStream(FLOW)
        _, dialed, protocol = self.assembly.direct.asked.pop()
        protocol.makeConnection(far)
        dialed.callback(protocol)
        self.successResultOf(opened)
        drained = node.drain(10)
        self.assembly.clock.advance(9.9)
        self.assertNoResult(drained)
        self.assembly.clock.advance(0.1)
        self.assertTrue(far.disconnecting or far.disconnected)
        # Nor for one that does not tell that it has ended.
        self.assertNoResult(drained)
        self.assembly.clock.advance(LINGER)
        self.assertFalse(self.successResultOf(drained))

    def test_itWaitsUntilConnectionsThatWereKeptAreClosed(self) -> None:
        for late in (False, True):
            self.assembly = FakeAssembly(closing=Deferred())
            node = self.node(a=FakeOptions())
            self.successResultOf(node.start())
            drained = node.drain(10)
            self.assertNoResult(drained)
            if late:
                self.assembly.clock.advance(PARTING)
            else:
                self.assembly.closing.callback(None)
            self.assertTrue(self.successResultOf(drained))

    def test_theAdminListenerStaysUntilTheEnd(self) -> None:
        config = evolve(nodeConfig(a=FakeOptions("h:1")), admin=AdminConfig(SocketAddress("h:9")))
        node = Node(self.assembly.clock, config, self.assembly)
        self.successResultOf(node.start())
        self.assertEqual(set(self.assembly.taken), {"h:1", "h:9"})
        near, far = self.open(node)
        drained = node.drain(10)
        self.assertEqual(set(self.assembly.taken), {"h:9"})
        self.close(near, far)
        self.successResultOf(drained)
        self.assertEqual(set(self.assembly.taken), set())

    def test_connectionsMayCloseByThemselvesOnceTheirFlowsHaveEnded(self) -> None:
        node = self.node(a=FakeOptions())
        self.successResultOf(node.start())
        listener = self.assembly.made[0]
        listener.connections.append("open")
        drained = node.drain(10)
        self.assembly.clock.advance(1)
        self.assertNoResult(drained)
        self.assertNotIn("abort", listener.calls)
        listener.connections.clear()
        self.assembly.clock.advance(1)
        self.assertTrue(self.successResultOf(drained))

    def test_aConnectionThatDoesNotCloseIsEnded(self) -> None:
        node = self.node(a=FakeOptions())
        self.successResultOf(node.start())
        self.assembly.made[0].connections.append("open")
        drained = node.drain(30)
        self.assembly.clock.pump([0.02] * 300)
        self.assertTrue(self.successResultOf(drained))
        self.assertIn("abort", self.assembly.made[0].calls)

    def test_anIdleNodeDrainsAtOnce(self) -> None:
        node = self.node(a=FakeOptions())
        self.successResultOf(node.start())
        self.assertTrue(self.successResultOf(node.drain(10)))

    def test_drainingWhileItStartsEndsWhatWasStarted(self) -> None:
        node = self.node(a=FakeOptions())
        waits: Deferred[None] = Deferred()
        made = self.assembly.listener

        def slow(*arguments: object) -> object:
            listener = made(*arguments)  # type: ignore[arg-type]
            self.assembly.made[-1].waits = waits
            return listener

        self.patch(FakeAssembly, "listener", lambda _, *arguments: slow(*arguments))
        started = node.start()
        drained = node.drain(10)
        self.assertNoResult(drained)
        waits.callback(None)
        self.successResultOf(started)
        self.assertTrue(self.successResultOf(drained))
        self.assertEqual(self.assembly.made[0].calls, ["start", "stop", "drain", "abort"])
