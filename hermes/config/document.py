"""
YAML as plain values, with the place of each in its file.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from attrs import evolve, field, frozen
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import Resolver
from yaml.scanner import Scanner

from hermes.config.problems import ConfigError, KeyPath, Mark, Problem, pathText

MAX_VALUES = 100_000
"""
For how many values the aliases of a document may stand: a few lines of them can stand for billions.
"""


class _Schema(SafeConstructor, Resolver):
    """
    The core schema of YAML 1.2. Version 1.1's own reads C{on} as true, C{22:53} as 1373 and C{2026-01-01} as a date,
    none of which a configuration means.
    """


# A dict of its own, not PyYAML's, which every other loader shares.
_Schema.yaml_implicit_resolvers = {}


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$", "-+0123456789."),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("merge", r"^(?:<<)$", "<"),
):
    _Schema.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _constructInt(loader: Any, node: ScalarNode) -> int:
    text = loader.construct_scalar(node)
    return int(text, 10) if text.lstrip("+-").isdigit() else int(text, 0)


def _constructText(loader: Any, node: ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Schema.add_constructor("tag:yaml.org,2002:int", _constructInt)
_Schema.add_constructor("tag:yaml.org,2002:timestamp", _constructText)


class _Loader(Reader, Scanner, Parser, Composer, _Schema):
    """
    The one whose errors are told.
    """

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)


_CParser: Any = getattr(yaml, "_yaml", None) and yaml._yaml.CParser


_ODD = re.compile(r"[\t\r?>|%\x85\u2028\u2029\ufeff]|(?m:^---)|" + Reader.NON_PRINTABLE.pattern)
"""
What the two parsers do not quite agree on: as YAML has it, and as PyYAML does.
"""


class _FastLoader(Composer, *((_CParser,) if _CParser else ()), _Schema):  # type: ignore[misc]
    """
    The same on libyaml's parser, a few times as fast. What is nested is composed in Python: that ends in an error, and
    not with the C stack.
    """

    def __init__(self, text: str) -> None:
        _CParser.__init__(self, text)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)


@frozen
class Document:
    """
    A parsed file.

    @ivar file: its name, for messages.
    @ivar value: the content: dicts with text keys, lists and scalars.
    @ivar marks: the place of each value.
    @ivar keyMarks: the place of each mapping key.
    @ivar problems: what is wrong with its form: a key that is given twice, an alias to what it is inside of.
    """

    file: str
    value: object
    marks: dict[KeyPath, Mark] = field(repr=False, factory=dict)
    keyMarks: dict[KeyPath, Mark] = field(repr=False, factory=dict)
    problems: list[Problem] = field(repr=False, factory=list)

    def problem(self, path: KeyPath, message: str, suggestion: str | None = None, atKey: bool = False) -> Problem:
        """
        A problem with the value at C{path}, or with its key. What is not in the file (a missing key) is placed at the
        nearest thing around it that is.
        """
        mark = self.keyMarks.get(path) if atKey else self.marks.get(path)
        around = path
        while mark is None and around:
            around = around[:-1]
            mark = self.keyMarks.get(around) or self.marks.get(around)
        return Problem(self.file, mark or Mark(1, 1), pathText(path), message, suggestion)


class _Builder:
    """
    Builds the parts of a L{Document} from composed nodes.
    """

    def __init__(self, loader: _Schema, file: str) -> None:
        self.loader = loader
        self.document = Document(file, None)
        self.problems = self.document.problems
        self._open: list[Node] = []
        self._built: set[Node] = set()
        self._repeated = 0

    def build(self, node: Node, path: KeyPath) -> Any:
        if node in self._built:
            self._repeated += 1
            if self._repeated > MAX_VALUES:
                raise ConfigError([self.document.problem(path, f"its aliases stand for more than {MAX_VALUES} values")])
        self._built.add(node)
        self.document.marks[path] = _mark(node)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if node in self._open:
            self.problems.append(self.document.problem(path, "an alias to something that it is inside of"))
            return None
        self._open.append(node)
        try:
            if isinstance(node, SequenceNode):
                return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            assert isinstance(node, MappingNode)
            return self._mapping(node, path)
        finally:
            self._open.pop()

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            message = error.problem if isinstance(error, yaml.MarkedYAMLError) else str(error)
            self.problems.append(self.document.problem(path, message or "not a plain value"))
            return None

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        # Before merges are written out: what a mapping says itself may override what it merges, twice itself may not.
        own: dict[str, Mark] = {}
        for keyNode, _ in node.value:
            if not isinstance(keyNode, ScalarNode):
                continue
            if keyNode.value in own:
                first = own[keyNode.value]
                self.document.keyMarks[(*path, keyNode.value)] = _mark(keyNode)
                self.problems.append(
                    self.document.problem(
                        (*path, keyNode.value), f"given twice, first on line {first.line}", atKey=True
                    )
                )
            own.setdefault(keyNode.value, _mark(keyNode))
        try:
            self.loader.flatten_mapping(node)
        except yaml.MarkedYAMLError as error:
            self.problems.append(self.document.problem(path, error.problem or "not something to merge"))
        result: dict[str, Any] = {}
        for keyNode, valueNode in node.value:
            if not isinstance(keyNode, ScalarNode):
                self.problems.append(self.document.problem(path, "a key must be plain text"))
                continue
            # A key is a name: whatever it would be as a value (true, 1), here it is its text.
            key = keyNode.value
            self.document.keyMarks[(*path, key)] = _mark(keyNode)
            result[key] = self.build(valueNode, (*path, key))
        return result


def _mark(node: Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)


def _composed(text: str) -> tuple[Any, Node | None]:
    """
    A loader, and what it has composed.
    """
    if _CParser and _ODD.search(text) is None:
        # Where the text ends in the middle of a line, libyaml says that what is empty is on the next.
        fast = _FastLoader(text if text.endswith("\n") else text + "\n")
        try:
            return fast, fast.get_single_node()
        except yaml.YAMLError:
            # What libyaml says of it is something else, and its place in bytes.
            fast.dispose()
    loader = _Loader(text)
    return loader, loader.get_single_node()


def parseDocument(text: str, file: str) -> Document:
    """
    Parse YAML.

    @param file: the name to give in messages.
    @raise ConfigError: where C{text} is not YAML or holds no single document.
    """
    loader: Any = None
    try:
        loader, node = _composed(text)
        if node is None:
            raise ConfigError([Problem(file, Mark(1, 1), "", "the file is empty")])
        builder = _Builder(loader, file)
        value = builder.build(node, ())
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        mark = Mark(place.line + 1, place.column + 1) if place else Mark(1, 1)
        message = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError([Problem(file, mark, "", f"not YAML: {message}")]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        message = f"not YAML: the character U+{error.character:04X} is not allowed"
        raise ConfigError([Problem(file, Mark(line, column), "", message)]) from None
    except RecursionError:
        raise ConfigError([Problem(file, Mark(1, 1), "", "nested too deeply")]) from None
    finally:
        if loader is not None:
            loader.dispose()
    return evolve(builder.document, value=value)
