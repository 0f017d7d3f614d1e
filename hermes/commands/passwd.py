"""
C{hermes passwd}.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from getpass import getpass

from rich.console import Console

SUMMARY = "hash a password for a node's configuration"


def arguments(parser: ArgumentParser) -> None:
    """
    Nothing but where the password comes from: an argument would be seen by every user of the machine.
    """
    parser.add_argument(
        "--stdin", action="store_true", help="read the password from standard input, one line, no prompt"
    )


def run(options: Namespace, console: Console) -> int:
    """
    Ask for a password twice, print its hash.
    """
    if options.stdin or not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass("Password: ")
        if password != getpass("Again: "):
            print("hermes passwd: the two are not the same", file=sys.stderr)
            return 1
    if not password:
        print("hermes passwd: a password can't be empty", file=sys.stderr)
        return 1
    from hermes.users import hashPassword

    print(hashPassword(password), file=console.file)
    return 0
