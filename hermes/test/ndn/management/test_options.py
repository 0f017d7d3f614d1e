"""
Tests of L{hermes.ndn.management.options} and L{hermes.ndn.management.neighbourhood}.
"""

from __future__ import annotations

import os
from typing import Any

from attrs import define, field
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import HermesError
from hermes.ndn.management.neighbourhood import Neighbourhood
from hermes.ndn.management.options import KeyOptions, ManagementOptions, SigningOptions, signerOf, trustOf
from hermes.ndn.options import NDNOptions, fixed
from hermes.ndn.packet.data import decodeData, encodeData
from hermes.ndn.packet.interest import decodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.keychain import Keychain
from hermes.ndn.security.signedinterest import InterestSigner
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.management.nodes import TIME, App, Node, link

# A test says what a configuration does, as plain text.
Options: Any = ManagementOptions
Key: Any = KeyOptions
Signing: Any = SigningOptions


def now() -> float:
    """
    Seconds since 1970.
    """
    return TIME


class ManagementOptionsTests(SynchronousTestCase):
    """
    Who is obeyed, and who signs.
    """

    def setUp(self) -> None:
        self.directory = self.mktemp()
        self.keychain = Keychain(self.directory, now)
        self.certificate = self.keychain.createKey(Name.fromText("/operator"))
        files = [os.path.join(self.directory, name) for name in os.listdir(self.directory)]
        [self.key] = [path for path in files if path.endswith(".key")]
        [self.certificateFile] = [path for path in files if path.endswith(".ndncert")]

    def command(self, operator: bool) -> Any:
        """
        A command of the operator's, or of anybody's.
        """
        signer = self.keychain.signer(self.certificate.keyName) if operator else DigestSigner()
        return decodeInterest(InterestSigner(signer, now, os.urandom).encode(Name.fromText("/a"), nonce=1))

    def test_anybodyIsObeyedHereUnlessThereAreKeys(self) -> None:
        trust = trustOf(Options(), now)
        trust.localhost.check(self.command(False), "rib")
        self.assertIsNone(trust.localhop)
        trust = trustOf(Options(keys=(Key(self.certificateFile, ("rib",)),)), now)
        self.assertRaises(Untrusted, trust.localhost.check, self.command(False), "rib")
        self.assertRaises(Untrusted, trust.localhost.check, self.command(True), "cs")
        trust.localhost.check(self.command(True), "rib")

    def test_neighboursAreObeyedWhereTheyMay(self) -> None:
        anybody = trustOf(Options(neighbours="anybody"), now).localhop
        assert anybody is not None
        anybody.check(self.command(False), "rib")
        keys = trustOf(Options(keys=(Key(self.certificateFile),), neighbours="keys"), now).localhop
        assert keys is not None
        self.assertRaises(Untrusted, keys.check, self.command(False), "rib")
        keys.check(self.command(True), "rib")

    def test_withoutKeysNoNeighbourHasOne(self) -> None:
        nobody = trustOf(Options(neighbours="keys"), now).localhop
        assert nobody is not None
        self.assertRaises(Untrusted, nobody.check, self.command(True), "rib")

    def test_whatIsNoCertificateIsToldSo(self) -> None:
        with self.assertRaises(HermesError) as caught:
            trustOf(Options(keys=(Key(self.key),)), now)
        self.assertTrue(str(caught.exception).startswith(self.key + ": "), caught.exception)

    def test_theForwarderSignsWithADigestOrItsKey(self) -> None:
        self.assertIsInstance(signerOf(Options()), DigestSigner)
        signer = signerOf(Options(sign=Signing(self.key, self.certificateFile)))
        data = decodeData(encodeData(Name.fromText("/a"), b"", signer))
        self.assertTrue(self.certificate.verifies(data))
        self.assertEqual(data.signatureInfo.keyLocator, self.certificate.name)

    def test_anotherKeyToSignWithTakesAnotherForwarder(self) -> None:
        sign = Signing(self.key, self.certificateFile)
        self.assertNotEqual(fixed(NDNOptions(management=Options(sign=sign))), fixed(NDNOptions()))
        # Whom it obeys is another matter.
        trusting = NDNOptions(management=Options(keys=(Key(self.certificateFile),)))
        self.assertEqual(fixed(trusting), fixed(NDNOptions()))

    def test_aKeyThatIsNoneOrAnothersIsToldSo(self) -> None:
        other = Keychain(self.mktemp(), now)
        other.createKey(Name.fromText("/other"))
        [key] = [name for name in os.listdir(other.directory) if name.endswith(".key")]
        for path, words in (
            (self.certificateFile, "is no private key"),
            (os.path.join(other.directory, key), "is not the certificate of"),
        ):
            with self.assertRaises(HermesError) as caught:
                signerOf(Options(sign=Signing(path, self.certificateFile)))
            self.assertIn(words, str(caught.exception))


@define
class FakeFace:
    """
    What is configured of a face.
    """

    cost: int = 1


@define
class FakeOptions:
    """
    What is configured of neighbours.
    """

    announce: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()
    register: tuple[str, ...] = ()
    faces: dict[str, FakeFace] = field(factory=dict)


class NeighbourhoodTests(SynchronousTestCase):
    """
    Which faces lead to neighbours.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.here, self.there = Node("here", self.clock), Node("there", self.clock)
        self.ends = link(self.here, self.there, None)
        for node in (self.here, self.there):
            self.addCleanup(node.stop)

    def neighbourhood(self, node: Node, options: FakeOptions) -> Neighbourhood:
        """
        One that runs.
        """
        faces = {"next": self.ends[0] if node is self.here else self.ends[1]}
        neighbourhood = Neighbourhood(
            self.clock, node.management, node.faces, node.name, options, faces.get, DigestSigner()
        )
        neighbourhood.start()
        self.addCleanup(neighbourhood.stop)
        return neighbourhood

    def run_(self) -> None:
        """
        Let time pass.
        """
        for _ in range(600):
            self.clock.advance(0.01)

    def test_namedFacesAndThoseOfNamedNodesLeadToNeighbours(self) -> None:
        self.neighbourhood(self.here, FakeOptions(announce=("next",), faces={"next": FakeFace(7)}))
        there = self.neighbourhood(self.there, FakeOptions())
        App(self.here).command("rib/register", name=Name.fromText("/a"))
        App(self.there).command("rib/register", name=Name.fromText("/b"))
        self.run_()
        self.assertEqual((list(self.here.fib()), list(self.there.fib())), (["/a"], ["/b"]))
        self.ends[1].peer = "here"  # type: ignore[attr-defined]
        there.configure(FakeOptions(neighbours=("here",)))
        self.run_()
        self.assertEqual(self.here.fib()["/b"], {self.ends[0].id: 7})
        self.assertEqual(self.there.fib()["/a"], {self.ends[1].id: 1})
        self.assertEqual(there.status()["propagation"]["neighbours"][0]["node"], "here")
        there.configure(FakeOptions())
        self.assertEqual(list(self.there.fib()), ["/b"])

    def test_whereItIsSaidPrefixesAreRegistered(self) -> None:
        here = self.neighbourhood(self.here, FakeOptions())
        App(self.here).command("rib/register", name=Name.fromText("/a"))
        self.there.management.trust(trustOf(Options(neighbours="anybody"), self.there.now))
        here.configure(FakeOptions(register=("next",)))
        # The forwarder's clock is not the world's.
        here.hubs.hubs[self.ends[0].id]._signer._now = self.here.now
        self.run_()
        self.assertEqual(self.there.fib(), {"/a": {self.ends[1].id: 0}})
        self.assertEqual([hub["registered"] for hub in here.status()["hubs"]], [1])
        here.configure(FakeOptions())
        self.assertEqual(here.status()["hubs"], [])
