"""
Values as JSON, and how much is kept of them.
"""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.store import bounds, codec
from hermes.control.store.errors import ValueTooLarge
from hermes.control.values import AuditEntry, NodeEntry, NodeReason, VersionRecord
from hermes.test.control.store.user import record

texts = st.text(max_size=40)
times = st.floats(allow_nan=False, allow_infinity=False)
reasons = st.builds(NodeReason, texts, texts, st.sampled_from(sorted(codec.STEPS)))
records = st.builds(
    VersionRecord,
    number=st.integers(1, 10),
    parent=st.none() | st.integers(0, 1 << 40),
    author=texts,
    time=times,
    comment=texts,
    document=texts,
    phase=st.sampled_from(sorted(codec.PHASES)),
    reasons=st.lists(reasons, max_size=3).map(tuple),
    measurements=texts,
    digests=st.dictionaries(texts, texts, max_size=3),
)
entries = st.builds(
    NodeEntry, texts, texts, times, times, st.booleans(), times, st.dictionaries(texts, times, max_size=3), texts
)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | times | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)


class CodecTests(SynchronousTestCase):
    """
    Values as JSON, and back.
    """

    @given(records)
    def test_versions_come_back(self, wanted: VersionRecord) -> None:
        head = codec.loaded(codec.dumped(codec.headToJSON(wanted)))
        found = codec.Body.of(wanted).into(codec.headFromJSON(head, wanted.number))
        self.assertEqual(found, wanted)

    @given(entries)
    def test_nodes_come_back(self, wanted: NodeEntry) -> None:
        found = codec.nodeFromJSON(codec.loaded(codec.dumped(codec.nodeToJSON(wanted))), wanted.name)
        self.assertEqual(found, wanted)

    @given(st.builds(AuditEntry, times, texts, texts, texts, texts, texts, st.integers(1, 9)))
    def test_entries_of_the_log_come_back(self, wanted: AuditEntry) -> None:
        found = codec.auditFromJSON(codec.loaded(codec.dumped(codec.auditToJSON(wanted))), wanted.number)
        self.assertEqual(found, wanted)

    @given(st.binary(max_size=60) | jsons.map(codec.dumped))
    def test_whatever_is_there_is_a_value_or_unreadable(self, data: bytes) -> None:
        for read in (
            lambda: codec.headFromJSON(codec.loaded(data), 1),
            lambda: codec.nodeFromJSON(codec.loaded(data), "edge"),
            lambda: codec.auditFromJSON(codec.loaded(data), 1),
            lambda: codec.Body(data).into(record()),
        ):
            try:
                read()
            except codec.Unreadable:
                continue

    @given(records, st.sampled_from(["parent", "author", "time", "comment", "phase", "reasons"]), jsons)
    def test_one_wrong_value_makes_it_unreadable_or_another_one(
        self, wanted: VersionRecord, key: str, value: object
    ) -> None:
        head = {**codec.headToJSON(wanted), key: value}
        try:
            found = codec.headFromJSON(head, 1)
        except codec.Unreadable:
            return
        self.assertEqual(codec.headToJSON(found)[key], value)

    def test_a_number_that_is_none_is_unreadable(self) -> None:
        values: list[object] = ["1", True, None, [], 10**400]
        for value in values:
            self.assertRaises(codec.Unreadable, codec.number, {"time": value}, "time")
        self.assertRaises(codec.Unreadable, codec.loaded, "[1]")
        self.assertRaises(codec.Unreadable, codec.number, codec.loaded('{"time": NaN}'), "time")


class BoundsTests(SynchronousTestCase):
    """
    How much is kept.
    """

    @given(st.text(max_size=200), st.integers(8, 60))
    def test_what_is_shortened_fits_and_begins_the_same(self, text: str, most: int) -> None:
        found = bounds.shortened(text, most)
        if found != text:
            self.assertLessEqual(len(found.encode()), most)
            self.assertTrue(text.startswith(found.removesuffix(bounds.CUT)))
        else:
            self.assertLessEqual(len(text.encode("utf-8", "replace")), max(most, 4 * len(text)))

    def test_of_many_reasons_the_first_are_kept_and_the_rest_counted(self) -> None:
        many = [NodeReason(f"node{number}", "x" * 1000) for number in range(1000)]
        found = bounds.boundedReasons(many)
        self.assertEqual(found[0], many[0])
        self.assertEqual(found[-1].text, f"and {1000 - len(found) + 1} more reasons, which were not kept")

    def test_few_reasons_are_kept_as_they_are(self) -> None:
        few = (NodeReason("edge", "no", "probe"),)
        self.assertEqual(bounds.boundedReasons(few), few)

    def test_an_author_or_a_comment_that_is_too_large_is_refused(self) -> None:
        self.assertRaises(ValueTooLarge, codec.checkedRecord, evolve(record(), author="x" * 5000))
        self.assertRaises(ValueTooLarge, codec.checkedRecord, evolve(record(), comment="x" * 70_000))
