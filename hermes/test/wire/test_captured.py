"""
Tests of L{hermes.wire.captured}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire.captured import MAX_CAPTURED, Captured, CapturedReader, encodeCaptured
from hermes.wire.errors import MalformedError

RECORDS = st.lists(st.builds(Captured, st.integers(0, 2**64 - 1), st.booleans(), st.binary(max_size=40)), max_size=6)


class CapturedTests(SynchronousTestCase):
    """
    Records of packets.
    """

    @given(RECORDS, st.integers(1, 30))
    def test_whatIsWrittenIsRead(self, records: list[Captured], size: int) -> None:
        """
        However the stream is cut.
        """
        data = b"".join(encodeCaptured(each.time, each.out, [each.packet]) for each in records)
        reader = CapturedReader()
        found = [one for at in range(0, len(data), size) for one in reader.receive(data[at : at + size])]
        self.assertEqual(found, records)

    def test_whatIsNoRecordIsRefused(self) -> None:
        """
        A direction that is none, a length that no packet has.
        """
        for head in (bytes(8) + b"\x02" + bytes(4), bytes(9) + (MAX_CAPTURED + 1).to_bytes(4, "big")):
            with self.assertRaises(MalformedError):
                CapturedReader().receive(head)
