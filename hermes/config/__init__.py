"""
The configuration of a node: what it says, and how it is read.
"""

from hermes.config.load import loadNode, loadNodeText
from hermes.config.problems import ConfigError, Mark, Problem
from hermes.config.schema import (
    AccessLogConfig,
    AdminConfig,
    DirectUpstream,
    HermesUpstream,
    IdentityConfig,
    ListenerConfig,
    MasqueUpstream,
    MatchConfig,
    NodeConfig,
    RouteConfig,
    UserConfig,
)

__all__ = [
    "AccessLogConfig",
    "AdminConfig",
    "ConfigError",
    "DirectUpstream",
    "HermesUpstream",
    "IdentityConfig",
    "ListenerConfig",
    "Mark",
    "MasqueUpstream",
    "MatchConfig",
    "NodeConfig",
    "Problem",
    "RouteConfig",
    "UserConfig",
    "loadNode",
    "loadNodeText",
]
