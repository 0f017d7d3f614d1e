"""
C{hermes schema}.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from rich.console import Console

from hermes.config.reference import reference
from hermes.listeners import assistantTypes, listenerTypes

SUMMARY = "print every key of a node's configuration, with what it means"


def arguments(parser: ArgumentParser) -> None:
    """
    It takes none.
    """


def run(options: Namespace, console: Console) -> int:
    """
    Print the reference, the options of installed listener types included.
    """
    print(reference(listenerTypes(), assistantTypes()), end="", file=console.file)
    return 0
