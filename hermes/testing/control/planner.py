"""
Documents that are no overlay documents, and what they come to.
"""

from __future__ import annotations

import json
from typing import Any

from hermes.config import ConfigError, Problem
from hermes.control.plans import Plan
from hermes.control.values import CONTROLLER, NodeReason, Probe, Settings


def documentOf(nodes: dict[str, str], **more: Any) -> str:
    """
    A document: each node's configuration as it is, and what else a L{Plan} has: C{required}, C{problems}, C{settings},
    C{probes}.
    """
    return json.dumps({"nodes": nodes, **more})


class FakePlanner:
    """
    Reads such documents.

    @ivar planned: how many were read.
    @ivar suffix: what it writes after each configuration: another version of a compiler would have another.
    @ivar broken: whether it reads nothing any more.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.planned = 0
        self.suffix = ""
        self.broken = False
        self._settings = settings or Settings()

    def plan(self, document: str, measurements: str) -> Plan:
        self.planned += 1
        try:
            if self.broken:
                raise ValueError("this software is another")
            values = json.loads(document)
        except ValueError as error:
            raise ConfigError([Problem("overlay", None, "", str(error))]) from None
        settings = {
            name: getattr(self._settings, name)
            for name in ("trial", "decide", "answer", "failing", "reroute", "rerouteAfter")
        }
        return Plan(
            {name: (config + measurements + self.suffix).encode() for name, config in values["nodes"].items()},
            measurements,
            Settings(**{**settings, **values.get("settings", {})}),
            frozenset(values.get("required", ())),
            {
                node: tuple(Probe(name, "target:1") for name in names)
                for node, names in values.get("probes", {}).items()
            },
            tuple(NodeReason(CONTROLLER, text, "validate") for text in values.get("problems", ())),
        )
