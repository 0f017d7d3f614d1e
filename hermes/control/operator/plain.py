"""
What the controller says, as JSON carries it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import evolve

from hermes.control.explaining import Explanation
from hermes.control.operator.redacting import redacted
from hermes.control.operator.words import wordOf
from hermes.control.status import OverlayStatus
from hermes.control.values import VersionRecord


def plain(value: Any) -> Any:
    """
    Values of the control plane as mappings, lists and plain values.
    """
    if attrs.has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return value


def status(found: OverlayStatus) -> dict[str, Any]:
    """
    The overlay; of each node, beside what it has, what it is in a C{word}.
    """
    nodes = [plain(node) | {"word": wordOf(node)} for node in found.nodes]
    return {**plain(evolve(found, nodes=())), "nodes": nodes}


def version(record: VersionRecord, whole: bool = False, redact: bool = False) -> dict[str, Any]:
    """
    A version.

    @param whole: with its document.
    @param redact: whether that is without passwords and the like.
    """
    found: dict[str, Any] = plain(record)
    if redact:
        found["document"] = redacted(found["document"])
    if not whole:
        del found["document"], found["measurements"], found["digests"]
    return found


def explanation(found: Explanation) -> dict[str, Any]:
    """
    An answer.
    """
    return {
        "allowed": found.allowed,
        "path": list(found.path),
        "end": found.end,
        "lines": [{"node": node, "routes": list(lines)} for node, lines in found.lines],
        "backups": {node: list(ways) for node, ways in found.backups.items()},
    }
