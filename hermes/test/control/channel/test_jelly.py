"""
Values, as Jelly has them; and that nothing else is read.
"""

from __future__ import annotations

import datetime
from enum import StrEnum
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.spread import jelly, pb
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.channel.jelly import MalformedValue, ValuesOnly, fromJelly, toJelly

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**200), 2**200),
        st.floats(allow_nan=False),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.binary(max_size=20),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=20,
)


class Color(StrEnum):
    """
    Text with a name.
    """

    RED = "red"


class AgainstTwisted(SynchronousTestCase):
    """
    Twisted's own Jelly.
    """

    @given(VALUES)
    def test_it_reads_what_is_written_here(self, value: Any) -> None:
        self.assertEqual(jelly.unjelly(toJelly(value), ValuesOnly()), value)

    @given(VALUES)
    def test_what_it_writes_is_read_here(self, value: Any) -> None:
        self.assertEqual(fromJelly(_lists(jelly.jelly(_copied(value)))), value)


def _lists(expression: Any) -> Any:
    """
    Banana makes lists of tuples.
    """
    return [*map(_lists, expression)] if isinstance(expression, (list, tuple)) else expression


def _copied(value: Any) -> Any:
    """
    Nothing in it twice: Jelly would write a reference.
    """
    if isinstance(value, list):
        return [*map(_copied, value)]
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return value


class Writing(SynchronousTestCase):
    """
    What can be sent.
    """

    @given(VALUES)
    def test_what_is_written_is_read(self, value: Any) -> None:
        self.assertEqual(fromJelly(toJelly(value)), value)

    def test_a_tuple_is_a_list(self) -> None:
        self.assertEqual(fromJelly(toJelly({"a": ((), (1, ()))})), {"a": [[], [1, []]]})

    def test_what_is_in_it_twice_is_written_twice(self) -> None:
        twice = [1]
        self.assertEqual(toJelly([twice, twice]), [b"list", [b"list", 1], [b"list", 1]])

    def test_text_with_a_name_is_text(self) -> None:
        self.assertEqual(toJelly({"color": Color.RED}), toJelly({"color": "red"}))

    def test_half_a_character_does_not_stop_the_rest(self) -> None:
        self.assertEqual(fromJelly(toJelly("a\ud800b")), "a?b")

    def test_nothing_else_is_written(self) -> None:
        for wrong in (object(), {1}, {1: "one"}, datetime.date(2026, 1, 1), pb.Referenceable(), int, len, 3j):
            self.assertRaises(TypeError, toJelly, [wrong])


class Hostile(SynchronousTestCase):
    """
    What must not be read.
    """

    WRONG: tuple[Any, ...] = (
        [],
        [[]],
        [5],
        [b"module", b"os"],
        [b"class", b"os.system"],
        [b"function", b"os.system"],
        [b"method", b"read", [b"None"], [b"class", b"io.FileIO"]],
        [b"instance", [b"class", b"hermes.control.channel.jelly.ValuesOnly"], [b"dictionary"]],
        [b"hermes.control.channel.jelly.ValuesOnly", [b"dictionary"]],
        [b"twisted.spread.pb.CopyableFailure", [b"dictionary"]],
        [b"twisted.spread.flavors.RemoteCopy", [b"dictionary"]],
        [b"remote", 1],
        [b"local", b"root"],
        [b"cache", 1, b"x", []],
        [b"cached", 1],
        [b"lcache", 1],
        [b"copy", b"x"],
        [b"reference", 1, [b"list"]],
        [b"dereference", 1],
        [b"persistent", 1],
        [b"unpersistable", b"x"],
        [b"set", 1],
        [b"frozenset", 1],
        [b"decimal", 1, 1],
        [b"datetime", b"1 1 1"],
        [b"timedelta", b"1 1 1"],
        [b"boolean", b"maybe"],
        [b"boolean"],
        [b"None", 1],
        [b"unicode"],
        [b"unicode", 5],
        [b"unicode", b"\xff"],
        [b"unicode", b"a", b"b"],
        [b"dictionary", 5],
        [b"dictionary", [[b"unicode", b"a"]]],
        [b"dictionary", [[b"list"], 5]],
        [b"dictionary", [5, 5]],
    )

    def test_it_is_not(self) -> None:
        for wrong in self.WRONG:
            self.assertRaises(MalformedValue, fromJelly, wrong)
            self.assertRaises(MalformedValue, fromJelly, [b"list", 1, wrong])

    def test_nor_by_twisted_with_these_options(self) -> None:
        for wrong in self.WRONG[3:26]:
            self.assertRaises(jelly.InsecureJelly, jelly.unjelly, wrong, ValuesOnly())

    def test_a_registered_class_is_not_made(self) -> None:
        class Trap(pb.RemoteCopy):
            """
            Must not come to be.
            """

        registry: dict[Any, Any] = jelly.unjellyableRegistry
        pb.setUnjellyableForClass("trap.Trap", Trap)
        self.addCleanup(registry.pop, b"trap.Trap")
        wrong = [b"trap.Trap", [b"dictionary"]]
        # Twisted's own options take it: whoever registers a class does so for the whole process.
        self.assertIsInstance(jelly.unjelly(wrong, jelly.globalSecurity), Trap)
        self.assertRaises(jelly.InsecureJelly, jelly.unjelly, wrong, ValuesOnly())
        self.assertRaises(MalformedValue, fromJelly, wrong)

    @given(
        st.recursive(
            st.one_of(st.integers(), st.binary(max_size=8), st.sampled_from([b"list", b"unicode", b"dictionary"])),
            lambda inner: st.lists(inner, max_size=4),
        )
    )
    @settings(max_examples=300)
    def test_noise_is_a_value_or_refused(self, noise: Any) -> None:
        try:
            value = fromJelly(noise)
        except MalformedValue:
            return
        fromJelly(toJelly(value))
