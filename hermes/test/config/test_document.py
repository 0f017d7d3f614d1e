"""
Tests for L{hermes.config.document}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.document import parseDocument
from hermes.config.problems import ConfigError, Mark


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
