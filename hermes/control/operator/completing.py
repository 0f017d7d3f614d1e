"""
What a shell may complete of a command line: from the parser itself, and names from the controller.
"""

from __future__ import annotations

import argparse
from argparse import Action, ArgumentParser
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

NODES: Final = "nodes"
VERSIONS: Final = "versions"

_kinds: WeakKeyDictionary[Action, str] = WeakKeyDictionary()


def completedBy(action: Action, kind: str) -> None:
    """
    The argument is a name that the controller knows: L{NODES} or L{VERSIONS}.
    """
    _kinds[action] = kind


def complete(
    parser: ArgumentParser, words: Sequence[str], names: Callable[[str, Sequence[str]], Iterable[str]]
) -> list[str]:
    """
    What the last of C{words} may become. Where that is nothing, it may be a file.

    @param words: of the command line, without the program's name; the last may be empty.
    @param names: gives the names of a kind, by the words before.
    """
    before, current = words[:-1], words[-1] if words else ""
    positionals = _positionals(parser)
    waiting: Action | None = None
    plain = False
    for word in before:
        if waiting is not None:
            waiting = None
        elif word == "--" and not plain:
            plain = True
        elif word.startswith("-") and len(word) > 1 and not plain:
            option = parser._option_string_actions.get(word)
            waiting = option if option is not None and option.nargs != 0 else None
        elif positionals:
            action = positionals.pop(0)
            if isinstance(action, argparse._SubParsersAction):
                if word not in action.choices:
                    return []
                parser = action.choices[word]
                positionals = _positionals(parser)
            elif action.nargs in ("*", "+", argparse.REMAINDER):
                positionals.insert(0, action)
    if waiting is None and current.startswith("-") and not plain:
        return sorted(each for each in parser._option_string_actions if each.startswith(current))
    wanted = waiting if waiting is not None else positionals[0] if positionals else None
    if wanted is None:
        return []
    return sorted({each for each in _values(wanted, before, names) if each.startswith(current)})


def _positionals(parser: ArgumentParser) -> list[Action]:
    return [each for each in parser._actions if not each.option_strings]


def _values(
    action: Action, before: Sequence[str], names: Callable[[str, Sequence[str]], Iterable[str]]
) -> Iterable[str]:
    if action.choices is not None:
        return [str(each) for each in action.choices]
    kind = _kinds.get(action)
    return () if kind is None else names(kind, before)


def ask(kind: str, before: Sequence[str]) -> list[str]:
    """
    Ask the controller that the words, or the environment, name. Where there is none, there are no names.
    """
    from hermes.control.operator.client import ControllerError, controllerArguments, controllerOf

    finding = ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    controllerArguments(finding)
    try:
        options, _ = finding.parse_known_args(list(before))
        controller = controllerOf(options, timeout=2)
        if kind == NODES:
            return [str(node["name"]) for node in controller.get("status")["nodes"]]
        return [str(record["number"]) for record in controller.get("versions", limit=50)["versions"]]
    except (ControllerError, argparse.ArgumentError, SystemExit, KeyError, TypeError):
        return []


SCRIPTS: Final[dict[str, str]] = {
    "bash": """\
_hermes() {
    local IFS=$'\\n'
    COMPREPLY=($(hermes completion words -- "${COMP_WORDS[@]:1:$COMP_CWORD}" 2>/dev/null))
}
complete -o default -o nosort -F _hermes hermes
""",
    "zsh": """\
#compdef hermes
_hermes() {
    local -a found
    found=(${(f)"$(hermes completion words -- "${(@)words[2,$CURRENT]}" 2>/dev/null)"})
    if (( $#found )); then compadd -- $found; else _files; fi
}
if [ "$funcstack[1]" = "_hermes" ]; then _hermes "$@"; else compdef _hermes hermes; fi
""",
    "fish": """\
complete -c hermes -a '(hermes completion words -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
""",
}
"""
By shell: what it is to read.
"""


def words(given: Sequence[Any]) -> list[str]:
    """
    The command line that a script has handed on, without the C{--} before it.
    """
    found = [str(each) for each in given]
    return found[1:] if found[:1] == ["--"] else found
