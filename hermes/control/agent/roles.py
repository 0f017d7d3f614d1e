"""
What an agent stands on: something that runs configurations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from hermes.control.values import Health, Probe, ProbeResult


class IPreparedConfiguration(Interface):
    """
    A configuration that was built beside the one that runs. L{hermes.prepared.Prepared} is one.
    """

    def commit() -> Deferred[Any]:
        """
        Run it. Errback with L{hermes.errors.HermesError} where it can't be; what ran then runs on, as a rule.
        """

    def discard() -> Deferred[None]:
        """
        Forget it.
        """


class IRunner(Interface):
    """
    Runs a node's configurations, one at a time; at first none.
    """

    running = Attribute("C{bool}: whether it runs one.")

    def prepare(version: int, config: bytes) -> Deferred[IPreparedConfiguration]:
        """
        Build a configuration beside the one that runs, or beside nothing.

        Errback with L{hermes.errors.HermesError} (L{hermes.config.ConfigError} among them) where it can't be had.
        """

    def check(version: int, config: bytes) -> None:
        """
        Whether a configuration can be read; nothing is made of it.

        @raise hermes.errors.HermesError: where it can't.
        """

    def stop() -> Deferred[None]:
        """
        Run nothing any more, at once.
        """

    def drain(timeout: float) -> Deferred[bool]:
        """
        Run nothing any more, once what is open has ended, at most C{timeout} seconds. Fires with whether it has by
        itself.
        """

    def status() -> Mapping[str, Any]:
        """
        See L{hermes.interfaces.control.INodeCalls.status}.
        """

    def health() -> Health:
        """
        See L{hermes.interfaces.control.INodeCalls.health}.
        """

    def probe(probes: Sequence[Probe]) -> Deferred[Sequence[ProbeResult]]:
        """
        See L{hermes.interfaces.control.INodeCalls.probe}.
        """
