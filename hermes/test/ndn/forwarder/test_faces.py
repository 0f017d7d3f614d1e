"""
Faces come and go, and take with them what is theirs.
"""

from __future__ import annotations

from hermes.test.ndn.forwarder.forwarding import FakeFace, ForwardingCase, data, interest, value


class FacesTests(ForwardingCase):
    """
    L{Forwarder.addFace}, L{Forwarder.removeFace}, and what a table tells.
    """

    def setUp(self) -> None:
        super().setUp()
        self.consumer, self.other, self.producer = self.face(), self.face(), self.face()
        self.route("/a", self.producer)

    def test_aFaceNeedsAnIDOfItsOwn(self) -> None:
        self.assertRaises(ValueError, self.forwarder.addFace, FakeFace(0))
        self.assertRaises(ValueError, self.forwarder.addFace, FakeFace(self.consumer.id))

    def test_nextHopsGoWithTheirFace(self) -> None:
        self.route("/a/b", self.other, self.producer)
        self.producer.close()
        self.assertEqual([entry.prefix for entry in self.forwarder.fib], [value("/a/b")])
        self.consumer.express(interest("/a/b/c"))
        self.assertEqual(self.other.took(), [("interest", "/a/b/c")])

    def test_interestsThatOnlyItWaitsForGoWithTheirFace(self) -> None:
        self.consumer.express(interest("/a/1", nonce=1))
        self.consumer.express(interest("/a/2", nonce=2))
        self.other.express(interest("/a/2", nonce=3))
        self.consumer.close()
        self.assertEqual(len(self.forwarder.pit), 1)
        self.producer.put(data("/a/1"))
        self.producer.put(data("/a/2"))
        self.assertEqual((self.consumer.sent, self.other.took()), ([], [("data", "/a/2")]))
        self.assertIdle()

    def test_whatWasAskedThereIsForgottenWithTheFaceAndKnownToHaveBeenAsked(self) -> None:
        self.route("/a", self.producer, self.other)
        self.consumer.express(interest("/a/1", nonce=1))
        (entry,) = self.forwarder.pit
        charge = self.forwarder.pit.charge
        self.producer.close()
        # In its place the other was asked.
        self.assertEqual([port.id for port in entry.outs], [self.other.id])
        self.assertEqual(self.forwarder.pit.charge, charge)
        third = FakeFace(999, forwarder=self.forwarder)
        self.forwarder.addFace(third)
        third.express(interest("/a/1", nonce=1))
        self.assertEqual([sent.what for sent in third.take()], ["nack"])
        self.other.close()
        self.assertEqual((list(entry.outs), self.forwarder.pit.charge), ([], charge))

    def test_anotherWithItsIDIsAnother(self) -> None:
        self.consumer.express(interest("/a/1", nonce=1))
        self.consumer.close()
        again = FakeFace(self.consumer.id, forwarder=self.forwarder)
        self.forwarder.addFace(again)
        self.producer.put(data("/a/1"))
        self.assertEqual(again.sent, [])
        # The end of the first is told twice, and is not that of the second.
        self.forwarder.removeFace(self.consumer)
        again.express(interest("/a/2", nonce=2))
        self.assertEqual(self.producer.took()[-1], ("interest", "/a/2"))

    def test_whatAFaceHasCountedStays(self) -> None:
        self.consumer.express(interest("/a/1", nonce=1))
        self.producer.put(data("/a/1"))
        self.consumer.express(interest("/nowhere", nonce=2))
        before = self.forwarder.status()
        self.assertEqual(
            (before.inInterests, before.inData, before.outInterests, before.outData, before.outNacks, before.inNacks),
            (2, 1, 1, 1, 1, 0),
        )
        self.assertEqual((before.fibEntries, before.pitEntries, before.csEntries), (1, 0, 1))
        self.assertEqual((before.satisfied, before.unsatisfied), (1, 1))
        self.consumer.close()
        self.producer.close()
        after = self.forwarder.status()
        self.assertEqual((after.inInterests, after.outInterests, after.outData), (2, 1, 1))
        self.assertEqual(after.fibEntries, 0)

    def test_aNextHopToAFaceThatDoesNotExistIsNone(self) -> None:
        self.assertFalse(self.forwarder.setNextHop(value("/x"), 999, 0))
        self.assertFalse(self.forwarder.setNextHop(value("/x"), 999, None))
        self.assertTrue(self.forwarder.setNextHop(value("/a"), self.producer.id, None))
        self.assertFalse(self.forwarder.setNextHop(value("/a"), self.producer.id, None))

    def test_aTableTellsOfFaces(self) -> None:
        face = FakeFace(300, forwarder=self.forwarder)
        face.up = False
        self.forwarder.faceCreated(face)
        self.route("/b", face, self.other)
        self.consumer.express(interest("/b/1"))
        self.assertEqual((face.sent, self.other.took()), ([], [("interest", "/b/1")]))
        self.forwarder.faceUp(face)
        self.consumer.express(interest("/b/2"))
        self.assertEqual((face.took(), self.other.took()), ([("interest", "/b/2")], []))
        self.forwarder.faceDown(face)
        # What was pending there is asked for elsewhere.
        self.assertEqual(self.other.took(), [("interest", "/b/2")])
        self.consumer.express(interest("/b/3"))
        self.assertEqual((face.took(), self.other.took()), ([], [("interest", "/b/3")]))
        self.forwarder.faceDestroyed(face)
        self.assertNotIn(face, list(self.forwarder.faces()))
        # What is told of a face that is not there is for nobody.
        self.forwarder.faceUp(face)
        self.forwarder.faceDown(face)
        self.forwarder.faceDestroyed(face)

    def test_withItsEndNothingIsLeftToDo(self) -> None:
        for number in range(10):
            self.consumer.express(interest(f"/a/{number}", nonce=number))
        self.route("/a/b", self.other)
        self.forwarder.stop()
        self.assertIdle()
        self.assertEqual(self.clock.getDelayedCalls(), [])
