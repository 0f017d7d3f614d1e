"""
The match language: which flows and which HTTP requests a rule takes. Routes, authorizers and the configuration share
it.
"""

from hermes.matching.hosts import HostPattern, authorityHost
from hermes.matching.match import AMBIGUOUS, IP, LISTEN, NAMED, PROTOCOLS, Match
from hermes.matching.paths import NO_CAPTURES, Captures, PathPattern, readings
from hermes.matching.targets import IPAddress, IPNetwork, TargetPattern, canonicalHost
from hermes.matching.values import Criterion, ValuePattern

__all__ = [
    "AMBIGUOUS",
    "IP",
    "LISTEN",
    "NAMED",
    "NO_CAPTURES",
    "PROTOCOLS",
    "Captures",
    "Criterion",
    "HostPattern",
    "IPAddress",
    "IPNetwork",
    "Match",
    "PathPattern",
    "TargetPattern",
    "ValuePattern",
    "authorityHost",
    "canonicalHost",
    "readings",
]
