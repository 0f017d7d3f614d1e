from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import CannotListenError, ConnectionLost
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass, verifyObject

from hermes.errors import ListenError, NoRoute
from hermes.fabric.listener import Accepted, StreamListener
from hermes.fabric.record import FlowRecord
from hermes.fabric.splice import StreamSplice
from hermes.fabric.tcp import TCPListener, TCPListenerType, TCPOptions
from hermes.interfaces import IListener, IListenerType
from hermes.test.fabric.fakenetwork import FakeContext as FakeContext
from hermes.test.fabric.fakenetwork import FakePort
from hermes.test.fabric.fakes import FakeFlows, FakeStream
from hermes.values import Flow, Target
from hermes.wire.proxyprotocol import ProxyHeader, writeV2

TARGET = Target("db.hermes", 3306)
BIND = "127.0.0.1:3306"


class Listening(SynchronousTestCase):
    def setUp(self) -> None:
        self.context = FakeContext()
        self.flows: FakeFlows = self.context.flows

    def listener(self, **options: Any) -> TCPListener:
        listener: Any = TCPListenerType().listener("mysql", TCPOptions(BIND, TARGET, **options), self.context)
        return listener  # type: ignore[no-any-return]

    def start(self, **options: Any) -> tuple[TCPListener, FakePort]:
        listener = self.listener(**options)
        self.assertIsNone(self.successResultOf(listener.start()))
        return listener, self.context.network.servers[BIND]

    def splice(self) -> tuple[StreamSplice, FakeStream]:
        splice = StreamSplice(FlowRecord(Flow("tcp", TARGET), 0.0), lambda splice: None)
        far = FakeStream(self.context.reactor)
        far.attach(splice.far)
        return splice, far

    def test_itIsAListenerOfItsType(self) -> None:
        listenerType = TCPListenerType()
        verifyObject(IListenerType, listenerType)
        verifyObject(IPlugin, listenerType)
        self.assertEqual("tcp", listenerType.type)
        verifyObject(IListener, self.listener())
        verifyClass(IListener, StreamListener)

    def test_aConnectionIsAFlowToTheTarget(self) -> None:
        listener, port = self.start()
        port.accept(IPv4Address("TCP", "192.0.2.1", 4000))
        [(flow, _)] = self.flows.asked
        self.assertEqual(Flow("tcp", TARGET, ("192.0.2.1", 4000), listener="mysql"), flow)
        self.assertEqual(1, listener.accepted)

    def test_aUnixSocketsClientHasNoAddress(self) -> None:
        _, port = self.start()
        port.accept(UNIXAddress(None))
        self.assertIsNone(self.flows.asked[0][0].source)

    def test_nothingIsReadBeforeTheFarSideIsUp(self) -> None:
        _, port = self.start()
        near = port.accept()
        self.assertFalse(near.reading)
        splice, far = self.splice()
        self.flows.asked[0][1].callback(splice.near)
        self.assertTrue(near.reading)
        near.deliver(b"question")
        far.deliver(b"answer")
        self.assertEqual((b"question", b"answer"), (far.taken, near.taken))

    def test_aRefusedFlowResetsTheConnection(self) -> None:
        _, port = self.start()
        near = port.accept()
        self.flows.asked[0][1].errback(NoRoute("denied"))
        self.assertEqual(["abortConnection"], near.calls)

    def test_anErrorThatIsNoneOfOursIsLoggedAndResetsTheConnection(self) -> None:
        _, port = self.start()
        near = port.accept()
        self.flows.asked[0][1].errback(ZeroDivisionError())
        self.assertIn("abortConnection", near.calls)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_aClientThatGoesAwayCancelsTheDial(self) -> None:
        _, port = self.start()
        near = port.accept()
        near.fail(ConnectionLost())
        self.assertEqual(1, self.flows.cancelled)

    def test_aFarSideThatComesUpAllTheSameIsToldThatTheClientIsGone(self) -> None:
        listener, _ = self.start()
        accepted = Accepted(listener)
        stream = FakeStream(self.context.reactor)
        stream.attach(accepted)
        stream.fail(ConnectionLost())
        splice, far = self.splice()
        accepted.attach(splice.near)
        self.assertEqual(["abortConnection"], far.calls)

    def test_aProxyProtocolHeaderTellsTheSourceAndWhatFollowsItIsNotLost(self) -> None:
        for atOnce in (False, True):
            self.setUp()
            splice, far = self.splice()
            if atOnce:
                self.flows.ready.append(splice.near)
            _, port = self.start(proxyProtocol=True)
            near = port.accept()
            self.assertEqual([], self.flows.asked)
            near.deliver(writeV2(ProxyHeader(("203.0.113.9", 77), ("192.0.2.1", 3306))) + b"question")
            self.assertEqual(("203.0.113.9", 77), self.flows.asked[0][0].source)
            if not atOnce:
                self.flows.asked[0][1].callback(splice.near)
            near.deliver(b" and more")
            self.assertEqual(b"question and more", far.taken)

    def test_anAddressThatCanNotBeBoundIsNamed(self) -> None:
        self.context.network.bindError = CannotListenError("127.0.0.1", 3306, OSError(98, "Address already in use"))
        failure = self.failureResultOf(self.listener().start(), ListenError)
        self.assertEqual("can't listen on 127.0.0.1:3306: Address already in use", str(failure.value))

    def test_withTLSThereMustBeAnIdentity(self) -> None:
        listener = StreamListener("web", BIND, self.context, tls=True)
        self.assertIn("no identity", str(self.failureResultOf(listener.start(), ListenError).value))
        self.context.credentials = object()
        self.successResultOf(StreamListener("web", BIND, self.context, tls=True).start())

    def test_stoppingAcceptsNothingMoreAndLeavesWhatIsOpen(self) -> None:
        listener, port = self.start()
        near = port.accept()
        self.assertEqual(3306, listener.getHost().port)  # type: ignore[attr-defined]
        self.successResultOf(listener.stop())
        self.successResultOf(listener.stop())
        listener.drain()
        self.assertTrue(port.stopped)
        self.assertEqual([], near.calls)
        with self.assertRaises(ListenError):
            listener.getHost()

    def test_abortEndsWhatIsStillOpen(self) -> None:
        listener, port = self.start()
        streams = [port.accept(), port.accept()]
        self.assertEqual(2, len(listener.connections))
        listener.abort()
        self.assertEqual([["abortConnection"]] * 2, [stream.calls for stream in streams])
