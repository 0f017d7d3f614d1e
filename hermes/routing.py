"""
From the routes in a configuration to the router.
"""

from __future__ import annotations

from hermes.config import DirectUpstream, NodeConfig
from hermes.fabric.router import Route, Router


def makeRouter(config: NodeConfig) -> Router:
    """
    The router of a configuration. A route without a name is called by its place, as in the messages about the file.
    """
    # To an upstream without endpoints is to the flow's own target: it names no address, and so allows none that is
    # special-purpose.
    targetAsAsked = {
        name
        for name, upstream in config.upstreams.items()
        if isinstance(upstream, DirectUpstream) and not upstream.endpoints
    }
    return Router(
        [
            Route(
                match=route.match.match(),
                name=route.name or str(place),
                to=None if route.to in targetAsAsked else route.to,
                via=route.via,
                nested=route.nested,
                deny=route.deny,
                allowSpecial=route.allowSpecial,
            )
            for place, route in enumerate(config.routes)
        ]
    )
