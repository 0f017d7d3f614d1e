"""
An Interest flood costs bounded memory, and other faces nothing.
"""

from __future__ import annotations

import gc
import sys
from random import Random
from typing import Any, ClassVar

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.forwarder.forwarder import Forwarder
from hermes.ndn.packet.peek import InterestView, peekInterest
from hermes.test.ndn.forwarder.forwarding import CONGESTION, FakeFace, ForwardingCase, data, interest, value


def grown(view: InterestView) -> InterestView:
    """
    The same Interest with an element of 8,000 bytes that nobody knows, and that may be ignored.
    """
    value = view.wire[2:] + b"\xf0\xfd\x1f\x40" + bytes(8000)
    return peekInterest(b"\x05\xfd" + len(value).to_bytes(2, "big") + value)


class AdmissionTests(ForwardingCase):
    """
    L{hermes.ndn.forwarder.admission.Admission}.
    """

    capacity = 100_000
    options: ClassVar[dict[str, Any]] = {"pitCapacity": capacity}

    def setUp(self) -> None:
        super().setUp()
        self.flooder, self.good, self.third, self.producer = (self.face() for _ in range(4))
        self.route("/a", self.producer)
        self.nonce = 0

    def flood(self, face: FakeFace, count: int, prefix: str = "/a", **more: object) -> int:
        """
        Send Interests for names of their own; how many got a Nack at once.
        """
        face.take()
        for _ in range(count):
            self.nonce += 1
            face.express(interest(f"{prefix}/{self.nonce}", nonce=self.nonce, **more))
        return [sent.reason for sent in face.take() if sent.what == "nack"].count(CONGESTION)

    def test_oneFaceAloneMayHaveAll(self) -> None:
        refused = self.flood(self.flooder, 200)
        self.assertGreater(refused, 0)
        self.assertGreater(self.forwarder.pit.charge, 0.97 * self.capacity)
        self.assertLessEqual(self.forwarder.pit.charge, self.capacity)
        self.assertEqual(self.forwarder.admission.refused, refused)

    def test_whoComesLaterGetsItsShare(self) -> None:
        self.flood(self.flooder, 200)
        self.assertEqual(self.flood(self.good, 20), 0)
        # The flooder was told of what it lost.
        self.assertEqual([sent.reason for sent in self.flooder.take()], [CONGESTION] * self.forwarder.admission.evicted)
        self.assertGreater(self.forwarder.admission.evicted, 0)
        self.pass_(0.2)
        self.flood(self.good, 200)
        charges = [self.forwarder._ports[face.id].charge for face in (self.flooder, self.good)]
        self.assertLess(abs(charges[0] - self.capacity / 2), 3000)
        self.assertLess(abs(charges[1] - self.capacity / 2), 3000)
        self.pass_(0.2)
        self.flood(self.third, 200)
        charges = [self.forwarder._ports[face.id].charge for face in (self.flooder, self.good, self.third)]
        for charge in charges:
            self.assertLess(abs(charge - self.capacity / 3), 5000)
        self.assertLessEqual(self.forwarder.pit.charge, self.capacity)

    def test_inAFloodTheFaceReplacesItsOwnThatHaveHadTheirTime(self) -> None:
        self.flood(self.flooder, 200)
        self.assertGreater(self.flood(self.flooder, 10), 0)
        self.pass_(1.1)
        port = self.forwarder._ports[self.flooder.id]
        oldest = next(iter(port.pending))
        self.flood(self.flooder, 10)
        self.assertNotIn(oldest, port.pending)
        self.assertEqual(self.forwarder.admission.evicted, 10)

    def test_whatSeveralWaitForIsNotLostToTheOthers(self) -> None:
        """
        The flooder has asked first for what another wants.
        """
        self.flooder.express(interest("/a/wanted", nonce=-1 & 0xFFFFFFFF))
        self.good.express(interest("/a/wanted", nonce=-2 & 0xFFFFFFFF))
        self.flood(self.flooder, 200)
        self.flood(self.third, 40)
        self.assertNotIn(value("/a/wanted"), [entry.name for entry in self.forwarder._ports[self.flooder.id].pending])
        self.producer.put(data("/a/wanted"))
        self.assertEqual(self.good.took(), [("data", "/a/wanted")])

    def test_largeInterestsCountMore(self) -> None:
        self.flood(self.flooder, 200)
        small = len(self.forwarder.pit)
        self.flooder.close()
        self.flood(self.good, 200, prefix="/a/" + "x" * 5000)
        self.assertLess(len(self.forwarder.pit), small / 3)

    def test_anInterestThatGrowsIsBoundedToo(self) -> None:
        for number in range(10):
            self.flooder.express(interest(f"/a/{number}", nonce=1))
        for number in range(10):
            self.flooder.express(grown(interest(f"/a/{number}", nonce=2)))
        self.assertLessEqual(self.forwarder.pit.charge, self.capacity)
        held = sum(len(record.view.wire) for entry in self.forwarder.pit for record in entry.ins)
        self.assertLess(held, self.capacity)

    def test_oneThatIsRefusedForItsGrowthDoesNotWaitAnyMore(self) -> None:
        self.good.express(interest("/a/x", nonce=1))
        self.flooder.express(interest("/a/x", nonce=2))
        self.flood(self.flooder, 200)
        self.flooder.express(grown(interest("/a/x", nonce=3)))
        self.assertEqual([(sent.what, sent.reason) for sent in self.flooder.take()], [("nack", CONGESTION)])
        self.producer.put(data("/a/x"))
        self.assertEqual((self.flooder.sent, self.good.took()), ([], [("data", "/a/x")]))

    def test_whatIsSentToMoreFacesIsBoundedToo(self) -> None:
        for number in range(20):
            self.route("/a", self.producer, *(self.face() for _ in range(number)))
        self.flood(self.flooder, 200)
        before = len(self.forwarder.pit)
        for face in list(self.forwarder.faces())[3:]:
            self.forwarder.faceDown(face)
            self.assertLessEqual(self.forwarder.pit.charge, self.capacity)
        self.assertLess(len(self.forwarder.pit), before)

    def test_itsSizeCanBeChanged(self) -> None:
        self.flood(self.flooder, 200)
        self.forwarder.admission.capacity *= 2
        self.assertEqual(self.flood(self.flooder, 20), 0)
        self.forwarder.admission.capacity = 10_000
        self.flood(self.good, 1)
        self.assertLessEqual(self.forwarder.pit.charge, 10_000)

    def test_allIsGivenBack(self) -> None:
        self.flood(self.flooder, 200)
        self.flood(self.good, 200)
        self.pass_(4.1)
        self.assertIdle()


class FloodTests(SynchronousTestCase):
    """
    200,000 Interests for random names from one face, and another that goes on as if nothing was.
    """

    def test_flood(self) -> None:
        clock = Clock()
        forwarder = Forwarder(clock, pitCapacity=4 << 20)
        self.addCleanup(forwarder.stop)
        flooder, good, producer = (FakeFace(256 + number, forwarder=forwarder) for number in range(3))
        for face in (flooder, good, producer):
            forwarder.addFace(face)
        forwarder.setNextHop(value("/"), producer.id, 0)
        random = Random(1)
        template = interest("/" + "x" * 16, nonce=0, lifetime=60_000).wire
        forwarder._ports[flooder.id].sendNack = lambda *arguments: None
        answered = 0
        blocks = []
        for number in range(200_000):
            bits = b"%016x" % random.getrandbits(64)
            flooder.express(peekInterest(template.replace(b"x" * 16, bits)))
            if number % 100 == 0:
                # Another face asks for something, and gets it a few Interests later.
                producer.take()
                name = f"/good/{number}"
                good.express(interest(name, nonce=number))
                self.assertIn(("interest", name), producer.took())
                clock.advance(0.01)
            elif number % 100 == 50:
                producer.put(data(f"/good/{number - 50}"))
                answered += good.took() == [("data", f"/good/{number - 50}")]
            producer.sent.clear()
            if number % 20_000 == 19_999:
                gc.collect()
                # A dead Nonce is one block, each of the packets in the Content Store is nine.
                blocks.append(sys.getallocatedblocks() - len(forwarder.deadNonces) - 9 * len(forwarder.cs))
        self.assertEqual(answered, 2000)
        self.assertGreater(forwarder.admission.refused + forwarder.admission.evicted, 150_000)
        self.assertLessEqual(forwarder.pit.charge, 4 << 20)
        self.assertLess(max(blocks) - blocks[0], 5000, blocks)
        self.assertLess(len(forwarder.deadNonces), 200_001)
        flooder.close()
        self.assertEqual((forwarder.pit.charge, len(forwarder.pit)), (0, 0))
