"""
Tests for L{hermes.config.document}.
"""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.config import document as parsing
from hermes.config.document import parseDocument
from hermes.config.problems import ConfigError, Mark

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)

VALUES = st.recursive(
    SCALARS,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=12), inside, max_size=4),
    max_leaves=20,
)


class ParserTests(SynchronousTestCase):
    """
    There are two parsers, and nobody can tell which.
    """

    def both(self, text: str) -> list[object]:
        """
        What each says.
        """
        found: list[object] = []
        for parser in (parsing._CParser, None):
            self.patch(parsing, "_CParser", parser)
            try:
                parsed = parseDocument(text, "f.yaml")
            except ConfigError as error:
                found.append(str(error))
            else:
                found.append((repr(parsed.value), parsed.marks, parsed.keyMarks, list(map(str, parsed.problems))))
        return found

    @given(VALUES, st.booleans(), st.integers(min_value=1, max_value=120))
    def test_bothReadTheSame(self, value: object, flow: bool, width: int) -> None:
        text = yaml.safe_dump(value, default_flow_style=flow or None, width=width, allow_unicode=True)
        fast, slow = self.both(text)
        self.assertEqual(fast, slow)

    @given(st.text(alphabet="ab:-[]{},&*!|>'\"#%@`?~ \n1.0é\x07\t", max_size=40))
    def test_bothTellTheSameMistakes(self, text: str) -> None:
        fast, slow = self.both(text)
        self.assertEqual(fast, slow)

    def test_bothKnowTheSameTypes(self) -> None:
        text = "a: [on, 1, 0o17, 0x1F, 1.5, 1e3, ~, null, 2026-01-01, 22:53, !!str 1, true, '1', <<]\n"
        text += "b: {<<: {c: 1}, d: 2}\n"
        fast, slow = self.both(text)
        self.assertEqual(fast, slow)


class DocumentTests(SynchronousTestCase):
    """
    YAML with places.
    """

    def refusal(self, text: str) -> str:
        """
        What L{parseDocument} says is wrong.
        """
        error = self.assertRaises(ConfigError, parseDocument, text, "f.yaml")
        return str(error)

    def test_valuesAndKeysKeepTheirPlaces(self) -> None:
        document = parseDocument("a:\n  b: [1, two]\n", "f.yaml")
        self.assertEqual(document.value, {"a": {"b": [1, "two"]}})
        self.assertEqual(document.marks[("a", "b", 1)], Mark(2, 10))
        self.assertEqual(document.keyMarks[("a", "b")], Mark(2, 3))

    def test_wordsAndTimesOfYAML11AreText(self) -> None:
        document = parseDocument(
            "{on: no, at: 22:53, day: 2026-01-01, n: 0x10, f: 1.5, t: true, z: ~, o: 010}", "f.yaml"
        )
        self.assertEqual(
            document.value,
            {"on": "no", "at": "22:53", "day": "2026-01-01", "n": 16, "f": 1.5, "t": True, "z": None, "o": 10},
        )

    def test_keysAreAlwaysText(self) -> None:
        self.assertEqual(parseDocument("{true: 1, 5: 2, null: 3}", "f.yaml").value, {"true": 1, "5": 2, "null": 3})

    def test_aKeyThatIsGivenTwiceIsTold(self) -> None:
        document = parseDocument("a: {x: 1}\nb: 2\na: 3\n", "f.yaml")
        self.assertEqual(
            [str(problem) for problem in document.problems], ["f.yaml:3:1: a: given twice, first on line 1"]
        )

    def test_aMergedKeyMayBeOverridden(self) -> None:
        document = parseDocument("base: &b {x: 1, y: 2}\nmine: {<<: *b, x: 3}\n", "f.yaml")
        self.assertEqual(document.problems, [])
        self.assertEqual(document.value, {"base": {"x": 1, "y": 2}, "mine": {"x": 3, "y": 2}})

    def test_whatIsMissingIsPlacedAtWhatIsAroundIt(self) -> None:
        document = parseDocument("a:\n  b: {c: 1}\n", "f.yaml")
        self.assertEqual(document.problem(("a", "b", "d"), "x").mark, Mark(2, 3))

    def test_anAliasInsideOfItselfIsTold(self) -> None:
        document = parseDocument("a: &a [1, *a]\n", "f.yaml")
        self.assertEqual(
            [str(problem) for problem in document.problems],
            ["f.yaml:1:4: a[1]: an alias to something that it is inside of"],
        )

    def test_aliasesThatMultiplyAreBounded(self) -> None:
        lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
        self.assertIn("its aliases stand for more than 100000 values", self.refusal("\n".join(lines)))

    def test_aDocumentWithoutAliasesMayBeAsLargeAsItIs(self) -> None:
        value = parseDocument("a: [" + "1, " * 150_000 + "]\n", "f.yaml").value
        assert isinstance(value, dict)
        self.assertEqual(len(value["a"]), 150_000)

    def test_whatIsNestedWithoutEndIsRefused(self) -> None:
        for text in ("[" * 100_000, "- " * 50_000, "{a: " * 10_000):
            self.assertIn("nested too deeply", self.refusal(text))

    def test_invalidYAMLIsToldWithItsPlace(self) -> None:
        self.assertEqual(
            self.refusal("a: [1\nb: 2\n"),
            "f.yaml:2:2: not YAML: while parsing a flow sequence, expected ',' or ']', but got ':'",
        )
        self.assertEqual(self.refusal("a: \x07\n"), "f.yaml:1:4: not YAML: the character U+0007 is not allowed")
        self.assertEqual(self.refusal("# nothing\n"), "f.yaml:1:1: the file is empty")
        self.assertIn("expected a single document", self.refusal("a: 1\n---\nb: 2\n"))

    def test_tagsOfOtherLanguagesAreRefused(self) -> None:
        document = parseDocument("a: !!python/name:os.system x\n", "f.yaml")
        self.assertIn("could not determine a constructor", str(document.problems[0]))

    def test_deepNestingIsRefused(self) -> None:
        self.assertEqual(self.refusal("[" * 5000), "f.yaml:1:1: nested too deeply")
