"""
Tests of L{hermes.ndn.management.prefixes.hub}: registration at a forwarder that speaks NFD's protocol only, which here
is one of ours without any other.
"""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.authorization import Authorizer, TrustedKey
from hermes.ndn.management.management import Trust
from hermes.ndn.management.prefixes.hub import EXPIRATION, Hub, Hubs
from hermes.ndn.packet.name import Name
from hermes.ndn.security.keychain import Keychain
from hermes.ndn.security.signedinterest import InterestSigner
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.management.nodes import App, Node, link, setLinkUp

A = Name.fromText("/a")


class HubTests(SynchronousTestCase):
    """
    What is registered here is registered there.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.keychain = Keychain(self.mktemp(), lambda: self.node.now())
        self.addCleanup(self.end)
        self.node = Node("node", self.clock).propagate()
        self.addCleanup(self.node.stop)
        self.certificate = self.keychain.createKey(Name.fromText("/node"))
        self.hubNode = self.makeHub(Authorizer(None, self.node.now))
        self.ends = link(self.node, self.hubNode, None)
        self.app = App(self.node)

    def makeHub(self, localhop: Authorizer) -> Node:
        """
        The forwarder there.
        """
        hub = Node("hub", self.clock, Trust(Authorizer(None, self.node.now), localhop))
        self.addCleanup(hub.stop)
        return hub

    def end(self) -> None:
        """
        Nothing is left to do.
        """
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def cut(self) -> None:
        """
        What is on its way does not arrive.
        """
        for end in self.ends:
            end.up = False

    def startHubs(self, signer: InterestSigner | None = None) -> Hub:
        """
        Register at the hub.
        """
        signer = signer or InterestSigner(DigestSigner(), self.node.now, os.urandom)
        hubs = Hubs(
            self.clock,
            self.node.propagation,
            self.node.faces,
            self.node.management.face.express,
            lambda face: face in self.ends,
            signer,
        )
        hubs.start()
        self.addCleanup(hubs.stop)
        self.addCleanup(self.cut)
        return hubs.hubs[self.ends[0].id]

    def run_(self, seconds: float = 1.0, step: float = 0.01) -> None:
        """
        Let time pass.
        """
        for _ in range(int(seconds / step)):
            self.clock.advance(step)

    def there(self) -> dict[str, int]:
        """
        What the hub would send here, as costs by prefix.
        """
        here = self.ends[1].id
        return {prefix: hops[here] for prefix, hops in self.hubNode.fib().items() if here in hops}

    def test_whatIsRegisteredHereIsAskedForThere(self) -> None:
        self.app.serve("/a/b", b"hello")
        self.startHubs()
        self.app.command("rib/register", name=A, cost=4)
        self.run_()
        self.assertEqual(self.there(), {"/a": 4})
        entry = self.hubNode.management.rib.get(A.value)
        assert entry is not None
        [route] = entry.routes.values()
        self.assertEqual((route.origin, route.flags), (65, 1))
        consumer = App(self.hubNode)
        consumer.get("/a/b")
        self.run_()
        self.assertEqual(len(consumer.data), 1)

    def test_whatWasThereBeforeIsRegisteredToo(self) -> None:
        for index in range(50):
            self.app.command("rib/register", name=Name.fromText(f"/p/{index}"))
        hub = self.startHubs()
        self.run_()
        self.assertEqual((len(self.there()), len(hub.registered)), (50, 50))

    def test_whatIsWithdrawnIsUnregistered(self) -> None:
        hub = self.startHubs()
        self.app.command("rib/register", name=A)
        self.run_()
        self.app.command("rib/register", name=A, cost=3)
        self.run_()
        self.assertEqual(self.there(), {"/a": 3})
        self.app.close()
        self.run_()
        self.assertEqual((self.there(), hub.registered), ({}, {}))

    def test_aHubThatBeginsAnewIsToldAgain(self) -> None:
        self.startHubs()
        self.app.command("rib/register", name=A)
        self.run_()
        setLinkUp(self.ends, False)
        self.hubNode.management.rib.removeFace(self.ends[1].id)
        self.app.command("rib/register", name=Name.fromText("/b"))
        self.run_()
        self.assertEqual(self.there(), {})
        setLinkUp(self.ends, True)
        self.run_()
        self.assertEqual(self.there(), {"/a": 0, "/b": 0})

    def test_registrationsAreRenewed(self) -> None:
        self.startHubs()
        self.app.command("rib/register", name=A)
        self.run_(3 * EXPIRATION, 1)
        self.assertEqual(self.there(), {"/a": 0})
        for end in self.ends:
            end.broken = True
        self.run_(EXPIRATION + 10, 1)
        self.assertEqual(self.there(), {})
        for end in self.ends:
            end.broken = False
        self.run_(70, 0.1)
        self.assertEqual(self.there(), {"/a": 0})

    def test_aHubThatDoesNotAnswerIsAskedLessAndLess(self) -> None:
        hub = self.startHubs()
        for end in self.ends:
            end.broken = True
        self.app.command("rib/register", name=A)
        self.run_(300, 0.1)
        self.assertLess(len(self.ends[0].interests), 15)
        self.assertEqual(hub.failed, len(self.ends[0].interests))
        for end in self.ends:
            end.broken = False
        self.run_(70, 0.1)
        self.assertEqual(self.there(), {"/a": 0})

    def test_onePrefixThatIsRefusedDoesNotKeepOthersFromIt(self) -> None:
        self.hubNode.management.rib._maxRoutes = 2
        hub = self.startHubs()
        for index in range(3):
            self.app.command("rib/register", name=Name.fromText(f"/p/{index}"))
        self.run_(10)
        self.assertEqual(len(self.there()), 2)
        self.assertGreater(hub.failed, 1)
        self.app.command("rib/unregister", name=Name.fromText("/p/0"))
        self.run_(90, 0.1)
        self.assertEqual(sorted(self.there()), ["/p/1", "/p/2"])

    def test_aHubMayWantAKey(self) -> None:
        node, hub = self.node, self.makeHub(Authorizer([TrustedKey(self.certificate)], self.node.now))
        self.ends = link(node, hub, None)
        self.hubNode = hub
        signer = self.keychain.signer(self.certificate.keyName)
        self.startHubs(InterestSigner(signer, node.now, os.urandom))
        for index in range(20):
            self.app.command("rib/register", name=Name.fromText(f"/p/{index}"))
        self.run_()
        self.assertEqual(len(self.there()), 20)

    def test_whatComesFromThereIsNotRegisteredThere(self) -> None:
        self.startHubs()
        there = App(self.hubNode)
        there.command("rib/register", name=A)
        self.run_()
        self.assertEqual(self.there(), {})

    def test_aFaceThatEndsIsForgotten(self) -> None:
        self.startHubs()
        self.app.command("rib/register", name=A)
        self.run_()
        self.ends[0].close()
        self.app.command("rib/register", name=Name.fromText("/b"))
        self.run_()
        self.assertEqual(self.there(), {"/a": 0})
