"""
How the routes of a configuration use its upstreams.
"""

from __future__ import annotations

from hermes.config import NodeConfig


def reachedStraight(config: NodeConfig) -> frozenset[str]:
    """
    The upstreams that a route leads to with no hop between.
    """
    names: set[str] = set()
    for route in config.routes:
        if not route.via:
            names |= {route.to or "", *route.split}
            if route.mirror is not None:
                names.add(route.mirror.to)
    return frozenset(names - {""})
