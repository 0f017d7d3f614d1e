"""
Tests of L{hermes.ndn.management.modules.cs}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.statuses import ContentStoreInfo
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekData
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.management.nodes import App, Node


class StoreModuleTests(SynchronousTestCase):
    """
    Commands and dataset.
    """

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(self.node.stop)
        self.app = App(self.node)

    def fill(self, prefix: str, count: int) -> None:
        """
        Put Data into the store.
        """
        for index in range(count):
            name = Name.fromText(f"{prefix}/{index}")
            self.node.forwarder.cs.insert(peekData(encodeData(name, b"", DigestSigner())))

    def info(self) -> ContentStoreInfo:
        """
        The dataset.
        """
        return ContentStoreInfo.decode(self.app.dataset("cs/info"))

    def test_itTellsOfItself(self) -> None:
        self.fill("/a", 3)
        self.app.get("/a/0")
        before = self.info()
        self.assertEqual((before.entries, before.hits, before.flags), (3, 1, 3))
        self.assertEqual(before.capacity, 64 * 1024 * 1024 // 8800)
        self.app.get("/b")
        # The Interest for what is not there, and that for the dataset.
        self.assertEqual(self.info().misses, before.misses + 2)

    def test_itsCapacityIsChanged(self) -> None:
        self.fill("/a", 10)
        response = self.app.command("cs/config", capacity=4)
        self.assertEqual((response.code, response.text), (200, "OK"))
        self.assertEqual((response.parameters.capacity, response.parameters.flags), (4, 3))
        self.assertEqual((self.info().capacity, self.info().entries), (4, 4))

    def test_itIsTurnedOffAndOn(self) -> None:
        self.fill("/a", 1)
        self.assertEqual(self.app.command("cs/config", flags=0, mask=2).parameters.flags, 1)
        self.assertEqual(self.app.get("/a/0"), 150)
        self.assertEqual(self.app.command("cs/config", flags=2, mask=3).parameters.flags, 2)
        self.fill("/b", 1)
        self.assertEqual(self.info().entries, 1)
        self.assertEqual(self.app.command("cs/config", flags=1, mask=1).parameters.flags, 3)
        self.assertEqual(self.app.command("cs/config").parameters.flags, 3)

    def test_itIsErased(self) -> None:
        self.fill("/a", 5)
        self.fill("/b", 5)
        response = self.app.command("cs/erase", name=Name.fromText("/a"), count=2)
        self.assertEqual((response.code, response.text), (200, "OK"))
        self.assertEqual((response.parameters.count, response.parameters.capacity), (2, None))
        response = self.app.command("cs/erase", name=Name.fromText("/a"))
        self.assertEqual((response.parameters.count, response.parameters.capacity), (3, None))
        self.assertEqual(self.info().entries, 5)
        self.assertEqual(self.app.command("cs/erase", name=Name.fromText("/a"), count=0).code, 400)

    def test_muchIsErasedInSteps(self) -> None:
        self.fill("/a", 300)
        counts = []
        while True:
            body = self.app.command("cs/erase", name=Name.fromText("/a")).parameters
            counts.append(body.count)
            if body.capacity is None:
                break
        self.assertEqual(counts, [256, 44])
        self.assertEqual(self.info().entries, 0)
