"""
A node's configuration as text: the same values give the same bytes.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import yaml
from attrs import frozen

from hermes.config.types import Network

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Base):  # type: ignore[misc]
    """
    No anchors: each part of the file is to be read by itself.
    """

    def ignore_aliases(self, data: object) -> bool:
        return True


@frozen
class NodeOutput:
    """
    What one node is to run.

    @ivar text: its configuration, YAML.
    """

    text: str

    @property
    def digest(self) -> str:
        """
        See L{hermes.control.values.digestOf}.
        """
        return sha256(self.text.encode()).hexdigest()


HEADER = "# Made by the controller out of the overlay document: what is changed here is lost.\n"


def render(values: dict[str, Any]) -> NodeOutput:
    """
    @param values: plain values, in the order in which they are to be written. Nothing else goes in: a node whose values
        stay the same hears of no change.
    """
    body = yaml.dump(values, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    return NodeOutput(HEADER + body)


def networkText(network: Network) -> str:
    """
    A prefix, or where it is one address, that.
    """
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
