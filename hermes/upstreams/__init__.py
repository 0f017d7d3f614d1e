"""
From an upstream in a configuration to what opens flows and sends requests.
"""

from hermes.upstreams.maker import UpstreamMaker
from hermes.upstreams.origins import OriginTLS
from hermes.upstreams.upstream import Upstream
from hermes.upstreams.usage import reachedStraight

__all__ = ["OriginTLS", "Upstream", "UpstreamMaker", "reachedStraight"]
