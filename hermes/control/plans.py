"""
What a document comes to: each node's configuration, and how the change to it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attrs import field, frozen

from hermes.control.values import NodeReason, Probe, Settings, digestOf


@frozen(eq=False)
class Plan:
    """
    A document, compiled.

    @ivar configs: each node's configuration, YAML, by the node's name.
    @ivar digests: their digests.
    @ivar measurements: what it was compiled with (see L{hermes.control.values.VersionRecord}).
    @ivar settings: how the change is made.
    @ivar required: the nodes that must take part.
    @ivar probes: what nodes try in the trial period, by the node's name.
    @ivar problems: why it must not be run: tests of the document that fail, for instance.
    @ivar weights: the weight of each link, L{None} where what it costs is measured, by the names of its nodes in
        alphabetical order. No mapping where everybody may connect to everybody, and all is measured.
    """

    configs: Mapping[str, bytes]
    measurements: str = ""
    settings: Settings = field(factory=Settings)
    required: frozenset[str] = frozenset()
    probes: Mapping[str, tuple[Probe, ...]] = field(factory=dict)
    problems: tuple[NodeReason, ...] = ()
    weights: Mapping[tuple[str, str], int | None] | None = None
    digests: Mapping[str, str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "digests", {name: digestOf(config) for name, config in self.configs.items()})


class Planner(Protocol):
    """
    Reads, compiles and tests documents. L{hermes.control.planning.OverlayPlanner} is the real one.
    """

    def plan(self, document: str, measurements: str) -> Plan:
        """
        The same arguments give the same configurations, byte for byte. It may take a while, and may be called in a
        thread.

        @param document: YAML text.
        @param measurements: as the compiler writes them; empty for none.
        @raise hermes.config.ConfigError: where it is no document.
        """
