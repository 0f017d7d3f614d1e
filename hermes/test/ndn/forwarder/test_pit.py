"""
Pending Interests are found by Data, and what they cost is known.
"""

from __future__ import annotations

import gc
import tracemalloc

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.forwarder.pit import MAX_VARIANTS, PIT, withoutDigest
from hermes.ndn.forwarder.pitentry import PITEntry
from hermes.ndn.forwarder.port import Port
from hermes.ndn.forwarder.strategies.bestroute import BestRoute
from hermes.ndn.forwarder.strategychoice import Chosen
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView
from hermes.test.ndn.forwarder.forwarding import FakeFace, data, ends, interest

CHOSEN = Chosen(b"", Name(), BestRoute(None))  # type: ignore[arg-type]


class PITCase(SynchronousTestCase):
    """
    A table.
    """

    def setUp(self) -> None:
        self.pit = PIT()
        self.ports = [Port(FakeFace(256 + number)) for number in range(3)]

    def open(self, view: InterestView, port: int = 0) -> PITEntry:
        entry, excess = self.pit.open(view, 0, CHOSEN, self.ports[port], view, None, 0.0, 4.0, 1000)
        self.assertIsNone(excess)
        return entry


class MatchTests(PITCase):
    """
    L{PIT.find} and L{PIT.matches}.
    """

    def matches(self, text: str) -> list[PITEntry]:
        return self.pit.matches(data(text))

    def test_dataSatisfiesItsNameWithAllSelectors(self) -> None:
        entries = [
            self.open(interest("/a/b")),
            self.open(interest("/a/b", canBePrefix=True)),
            self.open(interest("/a/b", mustBeFresh=True)),
            self.open(interest("/a/b", hint=["/h"])),
        ]
        self.assertEqual(set(self.matches("/a/b")), set(entries))
        self.assertEqual(len(self.pit), 4)

    def test_dataSatisfiesPrefixesOnlyWithCanBePrefix(self) -> None:
        self.open(interest("/a"))
        entry = self.open(interest("/a", canBePrefix=True))
        longer = self.open(interest("/a/b", canBePrefix=True))
        self.open(interest("/a/b/c/d", canBePrefix=True))
        self.open(interest("/x", canBePrefix=True))
        self.assertEqual(set(self.matches("/a/b/c")), {entry, longer})
        self.assertEqual(self.matches("/y"), [])

    def test_dataSatisfiesItsFullName(self) -> None:
        packet = data("/a")
        full = Name.fromValue(packet.name).withDigest(packet.digest())
        entry = self.open(interest(str(full)))
        self.open(interest(str(Name.fromValue(packet.name).withDigest(bytes(32)))))
        self.assertEqual(self.matches("/a"), [entry])
        self.pit.erase(entry)
        self.assertEqual(self.matches("/a"), [])

    def test_digestsAreOnlyComputedWhereSomebodyNamesOne(self) -> None:
        packet = data("/a")
        self.open(interest(str(Name.fromText("/b").withDigest(bytes(32)))))
        self.open(interest("/a"))
        self.pit.matches(packet)
        self.assertIsNone(packet._digest)

    def test_anInterestFindsItsOwnEntry(self) -> None:
        views = [
            interest("/a"),
            interest("/a", canBePrefix=True),
            interest("/a", mustBeFresh=True),
            interest("/a", canBePrefix=True, mustBeFresh=True),
            interest("/a", hint=["/h"]),
            interest("/a", hint=["/h", "/i"]),
        ]
        entries = [self.open(view) for view in views]
        self.assertEqual([self.pit.find(view) for view in views], entries)
        self.assertIsNone(self.pit.find(interest("/a", hint=["/i"])))
        self.assertIsNone(self.pit.find(interest("/b")))
        # In any order.
        for index in (2, 0, 5, 1, 4, 3):
            self.pit.erase(entries[index])
            self.assertIsNone(self.pit.find(views[index]))
        self.assertEqual((len(self.pit), list(self.pit)), (0, []))
        self.assertEqual((self.pit._entries, self.pit._prefixes, self.pit._depths), ({}, {}, ()))

    def test_aNameHasSoManyEntriesAtMost(self) -> None:
        plain = self.open(interest("/a"))
        hinted = [self.open(interest("/a", hint=[f"/h/{number}"])) for number in range(MAX_VARIANTS - 1)]
        view = interest("/a", hint=["/one/more"])
        _, excess = self.pit.open(view, 0, CHOSEN, self.ports[0], view, None, 0.0, 4.0, 1000)
        self.assertIs(excess, hinted[0])
        self.assertIsNotNone(self.pit.find(plain.view))

    def test_whatOnlyLooksLikeADigestIsNone(self) -> None:
        self.assertIsNone(withoutDigest(b"\x08\x24xx\x01\x20" + bytes(32), (38,)))
        self.assertEqual(withoutDigest(b"\x01\x20" + bytes(32), (34,)), b"")
        name = Name.fromText("/a/b").withDigest(bytes(32)).value
        self.assertEqual(withoutDigest(name, tuple(ends(name))), Name.fromText("/a/b").value)


class RecordTests(PITCase):
    """
    In-records, out-records, and what they count.
    """

    def test_allChargesGoWithTheEntry(self) -> None:
        entry = self.open(interest("/a"))
        view = interest("/a", nonce=2)
        self.pit.join(entry, self.ports[1], view, view, b"t", 1.0, 5.0, 700)
        for port in self.ports:
            self.pit.ask(entry, port, 1, 0.0, 4.0)
        self.assertEqual(sum(port.charge for port in self.ports), self.pit.charge)
        self.assertGreater(self.pit.charge, 1700)
        self.pit.erase(entry)
        self.pit.erase(entry)
        self.assertEqual([port.charge for port in self.ports], [0, 0, 0])
        self.assertEqual([len(port.pending) for port in self.ports], [0, 0, 0])
        self.assertEqual((self.pit.charge, len(self.pit)), (0, 0))

    def test_whoeverIsLeftBearsWhatTheEntryCosts(self) -> None:
        entry = self.open(interest("/a"))
        view = interest("/a", nonce=2)
        self.pit.join(entry, self.ports[1], view, view, b"t", 1.0, 5.0, 700)
        for port in self.ports:
            self.pit.ask(entry, port, 1, 0.0, 4.0)
        self.pit.leave(entry, self.ports[0])
        self.assertEqual(self.ports[0].charge, 0)
        self.assertEqual(self.ports[1].charge, self.pit.charge)
        self.assertGreater(self.pit.charge, 700 + 500)
        self.pit.leave(entry, self.ports[1])
        self.pit.leave(entry, self.ports[1])
        self.assertEqual((self.pit.charge, entry.ins), (0, []))

    def test_anInterestThatIsSentAgainRenewsItsRecord(self) -> None:
        entry = self.open(interest("/a"))
        other = self.open(interest("/b"))
        view = interest("/a", nonce=2)
        self.pit.join(entry, self.ports[0], view, view, b"t", 1.0, 5.0, 400)
        (record,) = entry.ins
        self.assertEqual((record.view, record.token, record.since, record.expiry), (view, b"t", 1.0, 5.0))
        # It is the youngest now.
        self.assertEqual(list(self.ports[0].pending), [other, entry])
        self.assertEqual(self.ports[0].charge, 2000)

    def test_oneThatHasGrownCountsMore(self) -> None:
        entry = self.open(interest("/a"))
        view = interest("/a", nonce=2)
        self.pit.join(entry, self.ports[0], view, view, None, 1.0, 5.0, 5000)
        self.assertGreaterEqual(self.ports[0].charge, 5000)
        self.assertEqual(self.pit.charge, self.ports[0].charge)

    def test_aFaceThatIsAskedAgainHasOneRecord(self) -> None:
        entry = self.open(interest("/a"))
        out = self.pit.ask(entry, self.ports[1], 1, 0.0, 4.0)
        out.nack = 150
        charge = self.pit.charge
        self.assertIs(self.pit.ask(entry, self.ports[1], 2, 1.0, 5.0), out)
        self.assertEqual((out.nonce, out.sent, out.expiry, out.nack), (2, 1.0, 5.0, None))
        self.assertEqual((list(entry.outs), self.pit.charge), ([self.ports[1]], charge))


class MemoryTests(SynchronousTestCase):
    """
    What the table says that it costs is what Python holds for it.
    """

    def test_memory(self) -> None:
        from hermes.ndn.forwarder.forwarder import Forwarder

        for components in (2, 8, 30):
            forwarder = Forwarder(Clock(), pitCapacity=1 << 30)
            faces = [FakeFace(256 + number, forwarder=forwarder) for number in range(4)]
            for face in faces:
                forwarder.addFace(face)
                forwarder._ports[face.id].sendInterest = lambda *arguments: None
            forwarder.setNextHop(Name.fromText("/component").value, 257, 0)
            prefix = "/component" * (components - 1)
            gc.collect()
            tracemalloc.start()
            try:
                before = tracemalloc.get_traced_memory()[0]
                for asking in (0, 2, 3):
                    for number in range(1000):
                        name = f"{prefix}/seg={300 + number}"
                        faces[asking].express(interest(name, nonce=(1 << 30) * asking + number), b"token")
                    gc.collect()
                    held = tracemalloc.get_traced_memory()[0] - before
                    ratio = held / forwarder.pit.charge
                    self.assertTrue(0.7 < ratio < 1.02, (components, asking, ratio))
            finally:
                tracemalloc.stop()
            forwarder.stop()
