"""
C{hermes completion bash|zsh|fish}: what a shell needs to complete commands, options, and names of nodes and versions.
"""

from __future__ import annotations

from argparse import REMAINDER, ArgumentParser, Namespace

from rich.console import Console

SUMMARY = "print what a shell needs to complete this command: bash, zsh or fish"


def arguments(parser: ArgumentParser) -> None:
    """
    The shell.
    """
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "words"), metavar="SHELL", help="bash, zsh or fish")
    # What the scripts call: words of a command line, the last to be completed.
    parser.add_argument("words", nargs=REMAINDER, metavar="...", help="with 'words' in place of a shell: what is typed")


def run(options: Namespace, console: Console) -> int:
    """
    @return: 0.
    """
    from hermes.cli import makeParser
    from hermes.control.operator.completing import SCRIPTS, ask, complete, words

    if options.shell in SCRIPTS:
        print(SCRIPTS[options.shell], end="", file=console.file)
        return 0
    for found in complete(makeParser(), words(options.words), ask):
        print(found, file=console.file)
    return 0
