"""
The configuration of a node: what it says, and how it is read.
"""

from hermes.config.load import loadNode, loadNodeText
from hermes.config.problems import ConfigError, Mark, Problem
from hermes.config.routes import MatchConfig, RouteConfig
from hermes.config.schema import (
    AccessLogConfig,
    AdminConfig,
    AssistConfig,
    IdentityConfig,
    ListenerConfig,
    NodeConfig,
    TracingConfig,
    UserConfig,
)
from hermes.config.upstreams import DirectUpstream, HermesUpstream, MasqueUpstream

__all__ = [
    "AccessLogConfig",
    "AdminConfig",
    "AssistConfig",
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
    "TracingConfig",
    "UserConfig",
    "loadNode",
    "loadNodeText",
]
