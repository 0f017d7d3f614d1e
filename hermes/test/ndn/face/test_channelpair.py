"""
Tests for L{hermes.ndn.face.channelpair}.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.interfaces import IDatagramChannel
from hermes.ndn.face.channelpair import LARGEST, channelPair
from hermes.test.ndn.face.test_streamchannel import Receiver


class ChannelPairTests(SynchronousTestCase):
    """
    Two channels, back to back.
    """

    def setUp(self) -> None:
        self.near, self.far = channelPair()
        self.ends = Receiver(), Receiver()

    def start(self) -> None:
        """
        Both are read.
        """
        self.near.setReceiver(self.ends[0])
        self.far.setReceiver(self.ends[1])

    def test_whatIsWrittenToOneIsReceivedFromTheOther(self) -> None:
        verifyObject(IDatagramChannel, self.near)
        self.start()
        self.near.write([b"one", b"two"])
        self.far.write([b"three"])
        self.assertEqual((self.ends[1].datagrams, self.ends[0].datagrams), ([b"one", b"two"], [b"three"]))

    def test_nobodyReads(self) -> None:
        self.near.write([b"one", b"two"])
        self.assertEqual(self.near.droppedDatagrams, 2)

    def test_whatIsTooLargeIsDropped(self) -> None:
        self.start()
        self.near.write([bytes(LARGEST + 1), b"two"])
        self.near.write([bytes(LARGEST + 1)])
        self.assertEqual((self.ends[1].datagrams, self.near.droppedDatagrams, self.ends[1].batches), ([b"two"], 2, 1))

    def test_bothEnd(self) -> None:
        self.start()
        self.near.loseChannel()
        self.far.abortChannel()
        self.near.write([b"late"])
        for end in self.ends:
            self.assertIsInstance(end.lost, ConnectionDone)
            self.assertEqual(end.datagrams, [])

    def test_anEndThatIsThereLateHearsOfIt(self) -> None:
        self.near.setReceiver(self.ends[0])
        self.near.abortChannel()
        self.far.setReceiver(self.ends[1])
        for end in self.ends:
            self.assertIsInstance(end.lost, ConnectionAborted)

    def test_whatWaitsBeyondIsKnown(self) -> None:
        self.start()
        self.assertEqual(self.near.bufferedBytes, 0)
        self.ends[1].bufferedBytes = 5000  # type: ignore[attr-defined]
        self.assertEqual(self.near.bufferedBytes, 5000)
