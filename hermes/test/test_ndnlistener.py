"""
Tests for L{hermes.ndnlistener}.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import HermesError, NoRoute, NotImplementedHere, Overloaded, ShuttingDown
from hermes.interfaces import IDialer, IListener
from hermes.listeners import listenerTypes
from hermes.ndn.interfaces import INDNFace
from hermes.ndn.options import FaceOptions, NDNOptions, PrefixOptions
from hermes.ndn.packet.lp import decode
from hermes.ndnlistener import NDNListener
from hermes.test.fabric.fakenetwork import FakeContext
from hermes.test.fabric.fakes import FakeFlows, FakeStream
from hermes.test.ndn.face.fakes import data, interest
from hermes.test.ndn.face.test_dialing import Bytes
from hermes.test.ndn.face.test_streamchannel import Receiver
from hermes.values import Flow, Identity, Target

# A test says what a configuration does, as plain text.
Options: Any = NDNOptions
Face: Any = FaceOptions
Prefix: Any = PrefixOptions
change: Any = evolve

BIND = ("unix:/run/ndn.sock", "tcp:127.0.0.1:0", "udp:127.0.0.1:6363", "ws:127.0.0.1:9696")

TWO_WAYS: Any = Options(
    bind=BIND,
    faces={"one": Face("udp:onl.ndn.hermes:6363"), "two": Face("udp:arl.ndn.hermes:6363")},
    prefixes=(Prefix("/onl", "one", 10), Prefix("/arl", "two")),
)


class ListenerCase(SynchronousTestCase):
    """
    A listener in memory.
    """

    def setUp(self) -> None:
        self.context = FakeContext()
        self.clock = self.context.reactor

    def listener(self, options: Any = TWO_WAYS, start: bool = True) -> Any:
        """
        One that runs.
        """
        listener = NDNListener("names", options, self.context)
        if start:
            self.successResultOf(listener.start())
        self.addCleanup(self.end, listener)
        return listener

    def end(self, listener: Any) -> None:
        """
        End it; nothing is left.
        """
        self.successResultOf(listener.stop())
        listener.abort()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def program(self, bind: str = BIND[0]) -> FakeStream:
        """
        A program connects.
        """
        stream: FakeStream = self.context.network.servers[bind.removeprefix("tcp:")].accept()
        return stream

    def up(self, host: str) -> Receiver:
        """
        The last flow to C{host} is opened.
        """
        near = Receiver()
        [opening for flow, opening in self.context.flows.asked if flow.target.host == host][-1].callback(near)
        return near


class NDNListenerTests(ListenerCase):
    """
    What it binds, and what ends in it.
    """

    def test_itIsFound(self) -> None:
        kind = listenerTypes()["ndn"]
        self.assertIs(kind.options, NDNOptions)
        listener = kind.listener("names", Options(), self.context)
        verifyObject(IListener, listener)
        verifyObject(IDialer, listener)

    def test_itBindsEverywhere(self) -> None:
        listener = self.listener()
        self.assertEqual(
            str(listener.getHost()), "unix:/run/ndn.sock tcp:127.0.0.1:3306 udp:127.0.0.1:5353 ws:127.0.0.1:3306"
        )
        self.assertEqual(
            listener.service.table.channels(),
            ["tcp4://127.0.0.1:3306", "tcp4://127.0.0.1:3306", "udp4://127.0.0.1:5353", "ws://127.0.0.1:3306"],
        )
        self.successResultOf(listener.stop())
        with self.assertRaises(HermesError):
            listener.getHost()

    def test_withoutAnAddressOnlyFlowsReachIt(self) -> None:
        listener = self.listener(Options())
        self.assertEqual(str(listener.getHost()), "no address")

    def test_anAddressThatCanNotBeBoundIsNamed(self) -> None:
        self.context.network.bindError = OSError(98, "Address already in use")
        listener = self.listener(start=False)
        failure = self.failureResultOf(listener.start(), HermesError)
        self.assertEqual(str(failure.value), "can't listen on unix:/run/ndn.sock: Address already in use")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aGroupIsJoinedOnAnInterface(self) -> None:
        listener = self.listener(Options(multicast=("eth0",)))
        faces = [face for face in listener.service.table if face.linkType == "multi-access"]
        self.assertEqual([face.remoteURI for face in faces], ["udp4://224.0.23.170:56363", "udp6://[ff02::1234]:56363"])
        self.assertEqual([face.mtu for face in faces], [1400, 1400])
        self.context.network.bindError = OSError(19, "No such device")
        other = self.listener(Options(multicast=("eth9",)), start=False)
        failure = self.failureResultOf(other.start(), HermesError)
        self.assertEqual(str(failure.value), "can't join the groups of NDN on eth9: No such device")

    def test_aPrefixLeadsToTheNeighboursOnANetwork(self) -> None:
        prefixes = (Prefix("/a", "eth0", 5),)
        listener = self.listener(Options(bind=BIND[:1], multicast=("eth0",), prefixes=prefixes))
        self.program().deliver(interest("/a/b").wire)
        written = [written for socket in self.context.network.sockets.values() for written in socket.written]
        self.assertEqual(written, [(("224.0.23.170", 56363), interest("/a/b").wire)])
        (entry,) = [entry for entry in listener.service.forwarder.fib if entry.prefix == interest("/a").name]
        # Those of either version of IP.
        self.assertEqual([hop.cost for hop in entry.hops], [5, 5])
        listener.reconfigure(Options(bind=BIND[:1], multicast=("eth0",)))
        self.assertEqual([entry for entry in listener.service.forwarder.fib if entry.prefix == interest("/a").name], [])

    def test_programsTalkThroughIt(self) -> None:
        listener = self.listener()
        consumer, producer = self.program(), self.program(BIND[1])
        face = list(listener.service.table)[-1]
        listener.service.forwarder.setNextHop(interest("/a").name, face.id)
        consumer.deliver(interest("/a/b").wire)
        self.assertEqual(decode(bytes(producer.taken)).fragment, interest("/a/b").wire)
        producer.deliver(data("/a/b").wire)
        self.assertEqual(bytes(consumer.taken), data("/a/b").wire)

    def test_thePrefixChoosesTheFaceAndRoutesItsWay(self) -> None:
        self.listener()
        flows = [flow for flow, _ in self.context.flows.asked]
        self.assertEqual(
            flows,
            [
                Flow("udp", Target("onl.ndn.hermes", 6363), listener="names"),
                Flow("udp", Target("arl.ndn.hermes", 6363), listener="names"),
            ],
        )
        one, two = self.up("onl.ndn.hermes"), self.up("arl.ndn.hermes")
        program = self.program()
        program.deliver(interest("/onl/x").wire + interest("/arl/y").wire + interest("/other").wire)
        self.assertEqual(one.datagrams, [interest("/onl/x").wire])
        self.assertEqual(two.datagrams, [interest("/arl/y").wire])
        # Nobody knows the third.
        self.assertEqual(decode(bytes(program.taken)).nackReason, 150)

    def test_facesThatManagementMakesAreFlowsToo(self) -> None:
        listener = self.listener()
        making = listener.service.table.create("udp4://192.0.2.1:6363")
        self.failureResultOf(making, NoRoute)
        self.patch(FakeFlows, "authorise", lambda *_: None)
        face = self.successResultOf(listener.service.table.create("udp4://192.0.2.1:6363", persistency="permanent"))
        self.assertEqual(self.context.flows.asked[-1][0], Flow("udp", Target("192.0.2.1", 6363), listener="names"))
        self.up("192.0.2.1")
        self.assertTrue(face.up)

    def test_aFlowOfDatagramsEndsAsAFace(self) -> None:
        listener = self.listener()
        near = Receiver()
        flow = Flow("udp", Target("onl.ndn.hermes", 6363), ("192.0.2.1", 5), Identity("edge"))
        self.successResultOf(listener.connectDatagrams(flow, near))
        face = list(listener.service.table)[-1]
        self.assertEqual((face.remoteURI, face.localURI), ("hermes://edge", "udp://onl.ndn.hermes:6363"))
        self.assertEqual((face.local, face.persistency, face.up), (False, "on-demand", True))
        face.sendInterest(interest())
        self.assertEqual(near.datagrams, [interest().wire])
        channel: Any = near.channel
        channel.loseChannel()
        self.assertNotIn(face, list(listener.service.table))

    def test_aStreamEndsAsAFace(self) -> None:
        listener = self.listener()
        near = Bytes()
        flow = Flow("tcp", Target("onl.ndn.hermes", 6363), ("127.0.0.1", 5))
        self.successResultOf(listener.connectStream(flow, near))
        face = list(listener.service.table)[-1]
        self.assertEqual((face.remoteURI, face.local), ("tcp4://127.0.0.1:5", False))
        face.sendInterest(interest())
        self.assertEqual(near.received, interest().wire)
        face.close()
        self.clock.advance(0)
        self.assertIsInstance(near.lost, Failure)
        self.assertIsNotNone(near.lost.check(ConnectionDone))

    def test_aFlowWithoutAddress(self) -> None:
        listener = self.listener()
        flow = Flow("udp", Target("onl.ndn.hermes", 6363))
        self.successResultOf(listener.connectDatagrams(flow, Receiver()))
        self.assertEqual(list(listener.service.table)[-1].remoteURI, "hermes://-")

    def test_packetsOfIPDoNotEndHere(self) -> None:
        flow = Flow("ip", Target("*", 0))
        self.failureResultOf(self.listener().connectPackets(flow, Receiver()), NotImplementedHere)

    def test_flowsAreRefusedWhereThereAreTooManyFacesOrItIsOver(self) -> None:
        listener = self.listener(Options(maxFaces=2))
        flow = Flow("udp", Target("onl.ndn.hermes", 6363))
        near = Receiver()
        self.successResultOf(listener.connectDatagrams(flow, Receiver()))
        self.failureResultOf(listener.connectDatagrams(flow, near), Overloaded)
        self.failureResultOf(listener.connectStream(flow, Bytes()), Overloaded)
        self.assertIsNone(near.channel)
        listener.drain()
        self.failureResultOf(listener.connectDatagrams(flow, near), ShuttingDown)

    def test_itTellsOfItself(self) -> None:
        listener = self.listener(change(TWO_WAYS, announce=("one",)))
        told = json.loads(json.dumps(listener.status()))
        # That of management is one.
        self.assertEqual(told["faces"], 3)
        self.assertEqual(told["store"], {"packets": 0, "bytes": 0, "hits": 0, "misses": 0})
        self.assertEqual((told["propagation"]["node"], told["propagation"]["prefixes"], told["hubs"]), ("edge", 0, []))

    def test_drainingEndsFacesAndTheirFlows(self) -> None:
        listener = self.listener()
        one = self.up("onl.ndn.hermes")
        program = self.program()
        self.successResultOf(listener.stop())
        self.assertIsNone(one.lost)
        listener.drain()
        self.assertIsNotNone(one.lost)
        self.assertEqual(self.context.flows.cancelled, 1)
        self.assertIn("loseConnection", program.calls)
        self.clock.advance(0)
        self.assertEqual(len(listener.service.table), 0)

    def test_abortingEndsConnectionsAtOnce(self) -> None:
        listener = self.listener()
        program = self.program()
        program.room = 0
        program.write(b"stuck")
        self.assertEqual(listener.connections, [program])
        listener.abort()
        self.assertIn("abortConnection", program.calls)


class ReconfigurationTests(ListenerCase):
    """
    It takes other options while it runs.
    """

    def prefixes(self, listener: Any) -> dict[str, list[str]]:
        """
        Where prefixes lead.
        """
        table = listener.service.table
        found: dict[str, list[str]] = {}
        for entry in listener.service.management.rib:
            uris = [table.get(route.faceID) for route in entry.routes.values()]
            found[str(entry.name)] = [face.remoteURI for face in uris if isinstance(face, INDNFace) or face is not None]
        return found

    def test_programsStayConnected(self) -> None:
        listener = self.listener()
        program = self.program()
        one = self.up("onl.ndn.hermes")
        faces = dict(listener.service.faces)
        options = change(
            TWO_WAYS,
            faces={**TWO_WAYS.faces, "three": Face("tcp:three.ndn.hermes:6363")},
            prefixes=(*TWO_WAYS.prefixes, Prefix("/onl", "three", 5), Prefix("/new", "three")),
            strategies={"/onl": "multicast"},
            store=1000,
        )
        self.assertTrue(listener.reconfigurable(options))
        listener.reconfigure(options)
        self.assertEqual({name: listener.service.faces[name] for name in faces}, faces)
        self.assertEqual(
            self.prefixes(listener),
            {
                "/onl": ["udp://onl.ndn.hermes:6363", "tcp://three.ndn.hermes:6363"],
                "/arl": ["udp://arl.ndn.hermes:6363"],
                "/new": ["tcp://three.ndn.hermes:6363"],
            },
        )
        self.assertEqual(listener.service.forwarder.cs.capacity, 1000)
        self.assertIsNone(program.lost)
        program.deliver(interest("/onl/x").wire)
        self.assertEqual(one.datagrams, [interest("/onl/x").wire])

    def test_whatIsGoneEnds(self) -> None:
        listener = self.listener()
        one = self.up("onl.ndn.hermes")
        options = change(TWO_WAYS, faces={"two": TWO_WAYS.faces["two"]}, prefixes=TWO_WAYS.prefixes[1:])
        listener.reconfigure(options)
        self.assertIsNotNone(one.lost)
        self.assertEqual(self.prefixes(listener), {"/arl": ["udp://arl.ndn.hermes:6363"]})

    def test_aFaceWithOtherOptionsIsMadeAnew(self) -> None:
        listener = self.listener()
        one = self.up("onl.ndn.hermes")
        before = listener.service.faces["one"]
        faces = {**TWO_WAYS.faces, "one": Face("udp:onl.ndn.hermes:6363", mtu=1400)}
        listener.reconfigure(change(TWO_WAYS, faces=faces))
        self.assertIsNotNone(one.lost)
        after = listener.service.faces["one"]
        self.assertIsNot(after, before)
        self.assertEqual(self.prefixes(listener)["/onl"], [after.remoteURI])
        self.up("onl.ndn.hermes")
        self.assertEqual(after.mtu, 1400)

    def default(self, listener: Any) -> str:
        """
        The strategy of /.
        """
        return str(listener.service.forwarder.strategies.longest(b"", ()).name)

    def test_strategiesComeAndGo(self) -> None:
        listener = self.listener()
        strategies = listener.service.forwarder.strategies
        before = self.default(listener)
        options = change(TWO_WAYS, strategies={"/": "multicast", "/arl": "asf"})
        listener.reconfigure(options)
        self.assertNotEqual(self.default(listener), before)
        self.assertEqual(len(strategies), 2)
        listener.reconfigure(TWO_WAYS)
        self.assertEqual(self.default(listener), before)
        self.assertEqual(len(strategies), 1)

    def test_whatIsBoundAnewCanNotBeChangedInPlace(self) -> None:
        listener = self.listener()
        self.assertFalse(listener.reconfigurable(change(TWO_WAYS, bind=BIND[:2])))
        self.assertFalse(listener.reconfigurable(change(TWO_WAYS, multicast=("eth0",))))

    def test_optionsThatAreWrongAreRefusedWithASentence(self) -> None:
        listener = self.listener()
        for wrong, sentence in (
            (
                change(TWO_WAYS, faces={**TWO_WAYS.faces, "nfd": Face("unix:/run/nfd.sock")}),
                "face nfd: unix:/run/nfd.sock: no route leads to a Unix socket: a face to it is direct",
            ),
        ):
            with self.assertRaises(HermesError) as caught:
                listener.reconfigurable(wrong)
            self.assertEqual(str(caught.exception), sentence)
            with self.assertRaises(HermesError):
                self.listener(wrong, start=False)

    def test_newRoutesAreTriedAtOnce(self) -> None:
        listener = self.listener()
        for _, opening in self.context.flows.asked[:]:
            opening.errback(NoRoute("no route takes it"))
        self.assertEqual(len(self.context.flows.asked), 2)
        listener.routesChanged()
        self.assertEqual(len(self.context.flows.asked), 4)
