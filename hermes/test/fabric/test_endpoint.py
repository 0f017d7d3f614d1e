"""
A flow is an endpoint to connect through.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import FlowError, NoRoute
from hermes.fabric.endpoint import FlowEndpoint
from hermes.fabric.record import FlowRecord
from hermes.fabric.splice import StreamSplice
from hermes.test.fabric.fakes import FakeFlows, FakeStream
from hermes.values import Flow, Target

FLOW = Flow("tcp", Target("db.hermes", 3306))


class Greeting(Protocol):
    """
    Speaks first.
    """

    def __init__(self) -> None:
        self.data = b""

    def connectionMade(self) -> None:
        self.transport.write(b"hello")  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.data += data


class NoFactory(Factory):
    """
    Wants nothing.
    """

    def buildProtocol(self, addr: object) -> Any:
        return None


class EndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.flows = FakeFlows()
        self.endpoint = FlowEndpoint(self.flows, FLOW, self.clock)
        self.splice = StreamSplice(FlowRecord(FLOW, 0.0), lambda splice: None)
        self.far = FakeStream(self.clock)
        self.far.attach(self.splice.far)

    def test_itIsAnEndpoint(self) -> None:
        verifyObject(IStreamClientEndpoint, self.endpoint)

    def test_aConnectionIsAFlow(self) -> None:
        connecting = self.endpoint.connect(Factory.forProtocol(Greeting))
        self.assertEqual((self.flows.asked[0][0], self.endpoint.opened), (FLOW, 1))
        self.flows.asked[0][1].callback(self.splice.near)
        protocol: Any = self.successResultOf(connecting)
        self.assertEqual(bytes(self.far.taken), b"hello")
        self.far.deliver(b"welcome")
        self.assertEqual(protocol.data, b"welcome")
        self.assertEqual(str(self.splice.record.bytesIn), "5")

    def test_aRefusalIsPassedOn(self) -> None:
        connecting = self.endpoint.connect(Factory.forProtocol(Greeting))
        self.flows.asked[0][1].errback(NoRoute("no"))
        self.failureResultOf(connecting, NoRoute)

    def test_aMistakeOfOursIsLoggedAndNotTold(self) -> None:
        connecting = self.endpoint.connect(Factory.forProtocol(Greeting))
        self.flows.asked[0][1].errback(ZeroDivisionError("inner"))
        self.assertEqual(str(self.failureResultOf(connecting, FlowError).value), "internal error")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_connectingCanBeCancelled(self) -> None:
        connecting = self.endpoint.connect(Factory.forProtocol(Greeting))
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual(self.flows.cancelled, 1)

    def test_aFactoryThatWantsNoneEndsTheFlow(self) -> None:
        connecting = self.endpoint.connect(NoFactory())
        self.flows.asked[0][1].callback(self.splice.near)
        self.failureResultOf(connecting, FlowError)
        self.assertIn("loseConnection", self.far.calls)
