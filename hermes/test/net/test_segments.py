"""
Batches leave a socket in order and whole, in as few calls as the kernel allows.
"""

from __future__ import annotations

import os
from errno import ECONNREFUSED, EINVAL, EIO, EMSGSIZE
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.net.segments import TRAIN_BYTES, TRAIN_LENGTH, Segmenter, trains


class TrainsTests(SynchronousTestCase):
    """
    How a batch is cut into runs.
    """

    def sizes(self, *sizes: int, largest: int = TRAIN_BYTES) -> list[tuple[list[int], int]]:
        return [(list(map(len, run)), size) for run, size in trains([bytes(size) for size in sizes], largest)]

    def test_oneSizeIsOneTrain(self) -> None:
        self.assertEqual(self.sizes(5, 5, 5), [([5, 5, 5], 5)])

    def test_theLastMayBeShorter(self) -> None:
        self.assertEqual(self.sizes(5, 5, 3, 3), [([5, 5, 3], 5), ([3], 0)])

    def test_aLongerOneBeginsATrain(self) -> None:
        self.assertEqual(self.sizes(3, 5, 5), [([3], 0), ([5, 5], 5)])

    def test_anEmptyDatagramGoesAlone(self) -> None:
        self.assertEqual(self.sizes(0, 0, 5, 5, 0), [([0], 0), ([0], 0), ([5, 5], 5), ([0], 0)])

    def test_aTrainHasNoMoreDatagramsThanTheKernelCuts(self) -> None:
        self.assertEqual([len(run) for run, _ in self.sizes(*[1] * 150)], [64, 64, 22])

    def test_aTrainIsNoLargerThanADatagramMayBe(self) -> None:
        self.assertEqual([len(run) for run, _ in self.sizes(*[1200] * 60)], [54, 6])
        self.assertEqual(self.sizes(40000, 40000), [([40000], 0), ([40000], 0)])

    def test_whatIsTooLargeForTheKernelToCutGoesAlone(self) -> None:
        self.assertEqual(self.sizes(9, 9, 5, 5, largest=5), [([9], 0), ([9], 0), ([5, 5], 5)])

    def test_anEmptyBatchIsNoTrain(self) -> None:
        self.assertEqual(self.sizes(), [])

    @settings(deadline=None)
    @given(st.lists(st.one_of(st.integers(0, 3), st.integers(1000, 2000), st.just(65507)), max_size=200))
    def test_nothingIsLostOrReordered(self, sizes: list[int]) -> None:
        shared = bytes(65507)
        batch = [memoryview(shared)[:size] for size in sizes]
        runs = trains(batch, TRAIN_BYTES)
        self.assertEqual([datagram for run, _ in runs for datagram in run], batch)
        for run, size in runs:
            if size:
                self.assertLessEqual(len(run), TRAIN_LENGTH)
                self.assertLessEqual(sum(map(len, run)), TRAIN_BYTES)
                self.assertEqual({len(datagram) for datagram in run[:-1]}, {size})
                self.assertTrue(0 < len(run[-1]) <= size)


class FakeSocket:
    """
    A socket whose kernel says what a test tells it to: one answer a call, C{None} for success.
    """

    family = AF_INET

    def __init__(self, *answers: int | type[BlockingIOError] | None) -> None:
        self.answers = list(answers)
        self.calls: list[int] = []

    def getsockopt(self, level: int, option: int) -> int:
        return 0

    def send(self, datagram: bytes) -> int:
        return self.sendmsg([datagram])

    def sendto(self, datagram: bytes, address: Any) -> int:
        return self.sendmsg([datagram])

    def sendmsg(self, buffers: Any, control: Any = (), flags: int = 0, address: Any = None) -> int:
        answer = self.answers.pop(0) if self.answers else None
        if answer is BlockingIOError:
            raise BlockingIOError()
        if answer is not None:
            raise OSError(cast(int, answer), os.strerror(cast(int, answer)))
        self.calls.append(len(buffers))
        return sum(map(len, buffers))


class SegmenterTests(SynchronousTestCase):
    """
    What the kernel may say to a batch.
    """

    batch = (b"aa", b"bb", b"cc")

    def segmenter(self, *answers: int | type[BlockingIOError] | None) -> Segmenter:
        self.socket = FakeSocket(*answers)
        return Segmenter(cast(socket, self.socket))

    def test_aRunIsOneCall(self) -> None:
        self.assertEqual(self.segmenter().send(self.batch), 3)
        self.assertEqual(self.socket.calls, [3])

    def test_aFullSocketLeavesTheRest(self) -> None:
        self.assertEqual(self.segmenter(BlockingIOError).send(self.batch), 0)
        self.assertEqual(self.segmenter(None, BlockingIOError).send((b"a", b"bb", b"bb")), 1)

    def test_anEarlierDatagramsErrorCostsNothing(self) -> None:
        segmenter = self.segmenter(ECONNREFUSED)
        self.assertEqual(segmenter.send(self.batch), 3)
        self.assertEqual(self.socket.calls, [1, 1, 1])
        self.assertEqual((segmenter.errors, segmenter.dropped), (1, 0))
        segmenter = self.segmenter(ECONNREFUSED)
        self.assertEqual(segmenter.send([b"a"]), 1)
        self.assertEqual(self.socket.calls, [1])

    def test_aSizeThatIsTooLargeForATrainIsRemembered(self) -> None:
        for number in EINVAL, EMSGSIZE:
            segmenter = self.segmenter(number)
            self.assertEqual(segmenter.send(self.batch), 3)
            self.assertEqual(self.socket.calls, [1, 1, 1])
            segmenter.send(self.batch)
            self.assertEqual(self.socket.calls, [1] * 6)
            segmenter.send([b"a", b"b"])
            self.assertEqual(self.socket.calls, [1] * 6 + [2])
            self.assertEqual(segmenter.dropped, 0)

    def test_aDeviceThatCutsNothingIsRemembered(self) -> None:
        segmenter = self.segmenter(EIO)
        segmenter.send(self.batch)
        segmenter.send([b"a", b"b"])
        self.assertEqual(self.socket.calls, [1] * 5)

    def test_whatTheKernelNeverTakesIsDroppedAndCounted(self) -> None:
        segmenter = self.segmenter(EMSGSIZE)
        self.assertEqual(segmenter.send([b"x" * 70000]), 1)
        self.assertEqual(segmenter.dropped, 1)

    def test_theKernelCutsATrain(self) -> None:
        one, other = socket(AF_INET, SOCK_DGRAM), socket(AF_INET, SOCK_DGRAM)
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        other.bind(("127.0.0.1", 0))
        other.setblocking(False)
        batch = [b"%03d" % number for number in range(100)] + [b"", b"last"]
        self.assertEqual(Segmenter(one).send(batch, other.getsockname()), 102)
        self.assertEqual([other.recv(100) for _ in batch], batch)
