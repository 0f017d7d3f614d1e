"""
C{hermes version}.
"""

from __future__ import annotations

import platform
from argparse import ArgumentParser, Namespace
from importlib.metadata import version

from rich.console import Console

import hermes

SUMMARY = "print the versions of Hermes and of what it stands on"


def arguments(parser: ArgumentParser) -> None:
    """
    It takes none.
    """


def run(options: Namespace, console: Console) -> int:
    """
    Print one line each.
    """
    print(f"hermes {hermes.__version__}", file=console.file)
    print(f"python {platform.python_version()}", file=console.file)
    for name in ("twisted", "h2", "pyopenssl"):
        print(f"{name} {version(name)}", file=console.file)
    return 0
