"""
C{hermes ndn}: an application of an NDN forwarder, for the terminal. Options are called as those of NDN's own tools.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib import import_module
from typing import Any

from rich.console import Console

SUMMARY = "get, put, ping and look at what is named (Named Data Networking)"

TOOLS = ("get", "put", "peek", "poke", "ping", "pingserver", "status", "key")


def arguments(parser: ArgumentParser) -> None:
    """
    One parser for each tool.
    """
    tools = parser.add_subparsers(title="tools", metavar="TOOL", required=True)
    for name in TOOLS:
        tool: Any = import_module(f"hermes.commands.ndn.{name}")
        subparser = tools.add_parser(name, help=tool.SUMMARY, description=tool.SUMMARY)
        tool.arguments(subparser)
        subparser.set_defaults(tool=tool.run, toolName=name)


def run(options: Namespace, console: Console) -> int:
    """
    Run one of the tools.

    @return: 0; 1 where it failed; 2 where the call is wrong; 3 where no answer came in time; 4 where a Nack came.
    """
    return int(options.tool(options, console))
