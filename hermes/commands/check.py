"""
C{hermes check FILE}.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

import attrs
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hermes.config import ConfigError, DirectUpstream, HermesUpstream, NodeConfig, loadNode
from hermes.config.routetext import actionText, matchText
from hermes.config.upstreams import UpstreamConfig
from hermes.errors import HermesError
from hermes.values import Target

SUMMARY = "check a node's configuration without starting anything"


def arguments(parser: ArgumentParser) -> None:
    """
    The file.
    """
    parser.add_argument("file", metavar="FILE", help="the node's YAML file")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing where it is right")


def run(options: Namespace, console: Console) -> int:
    """
    Print what the file says, or what is wrong with it: C{FILE:LINE:COLUMN: PATH: MESSAGE}, a line each.

    @return: 0 where it is right, 1 where it is wrong, 2 where it can't be read.
    """
    from hermes.assembly import checkCertificates

    config = loadOrTell(options.file, console)
    if isinstance(config, int):
        return config
    try:
        # It reads certificates, and opens nothing.
        checkCertificates(config)
    except HermesError as error:
        print(f"{options.file}: {error}", file=console.file)
        return 1
    if not options.quiet:
        console.print(f"[green]OK[/green] {options.file}: node {config.node}", highlight=False)
        for table in (_listeners(config), _upstreams(config), _routes(config)):
            if table.row_count:
                console.print(table)
    return 0


def loadOrTell(file: str, console: Console) -> NodeConfig | int:
    """
    Load a node's configuration, or print what is wrong with it and return the exit status.
    """
    try:
        return loadNode(file)
    except ConfigError as error:
        print(error, file=console.file)
        if error.problems[0].mark is None:
            return 2
        count = len(error.problems)
        print(f"{file}: {count} problem{'s' if count > 1 else ''}", file=console.file)
        return 1


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, header_style="dim", overflow="fold")
    return table


def _listeners(config: NodeConfig) -> Table:
    table = _table("listeners", "name", "type", "bind", "options")
    for name, listener in config.listeners.items():
        values = _given(listener.options)
        bind = values.pop("bind", "")
        table.add_row(name, listener.type, bind, _pairs(values))
    return table


def _upstreams(config: NodeConfig) -> Table:
    table = _table("upstreams", "name", "type", "endpoints", "options")
    for name, upstream in config.upstreams.items():
        endpoints = upstream.addresses if isinstance(upstream, DirectUpstream) else upstream.endpoints
        text = ", ".join(endpoints) or "the flow's own target"
        table.add_row(name, _upstreamType(upstream), text, _upstreamOptions(name, upstream))
    return table


def _upstreamType(upstream: UpstreamConfig) -> str:
    if isinstance(upstream, DirectUpstream):
        return "direct"
    return "hermes" if isinstance(upstream, HermesUpstream) else "masque"


def _upstreamOptions(name: str, upstream: UpstreamConfig) -> str:
    values = _given(upstream, "endpoints")
    if isinstance(upstream, HermesUpstream):
        values["node"] = upstream.node or name
    return _pairs(values)


def _given(options: Any, *without: str) -> dict[str, str]:
    """
    The keys whose values are not what they are when left out; the secret ones are not among them.
    """
    values: dict[str, str] = {}
    for attribute in attrs.fields(type(options)):
        value, usual = getattr(options, attribute.name), attribute.default
        if isinstance(usual, attrs.Factory):  # type: ignore[arg-type]
            usual = usual.factory()
        if attribute.name not in without and attribute.repr and value not in (None, usual):
            values[attribute.name] = _text(value)
    return values


def _text(value: Any) -> str:
    """
    A value, as a person would write it.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list | frozenset):
        return ", ".join(map(_text, value))
    if isinstance(value, Mapping):
        return f"({_pairs({str(key): _text(each) for key, each in value.items()})})"
    if attrs.has(type(value)) and not isinstance(value, Target):
        return f"({_pairs(_given(value))})"
    return str(value)


def _routes(config: NodeConfig) -> Table:
    table = _table("routes", "", "match", "action")
    for index, route in enumerate(config.routes):
        table.add_row(route.name or str(index), escape(matchText(route.match)), escape(actionText(route)))
    table.add_row("", "(nothing matched)", "deny")
    return table


def _pairs(values: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
