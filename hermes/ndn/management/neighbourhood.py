"""
Which faces of a configuration lead to neighbours that are told of prefixes, and to others where they are registered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

from hermes.ndn.interfaces import IFaceTable, INDNFace
from hermes.ndn.management.management import Management
from hermes.ndn.management.prefixes.hub import Hubs
from hermes.ndn.management.prefixes.propagation import Propagation
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.security.signedinterest import InterestSigner


class WithCost(Protocol):
    """
    What a configuration says of a face.
    """

    @property
    def cost(self) -> int:
        """
        Of its link.
        """


class WithNeighbours(Protocol):
    """
    What a configuration says of neighbours.
    """

    @property
    def announce(self) -> tuple[str, ...]:
        """
        The names of faces whose far ends are neighbours.
        """

    @property
    def neighbours(self) -> tuple[str, ...]:
        """
        The names of nodes: faces that they open are those of neighbours.
        """

    @property
    def register(self) -> tuple[str, ...]:
        """
        The names of faces at whose far ends prefixes are registered.
        """

    @property
    def faces(self) -> Mapping[Any, WithCost]:
        """
        Of each face by name.
        """


class Neighbourhood:
    """
    @ivar propagation: tells neighbours of prefixes.
    @ivar hubs: registers them at others.
    """

    def __init__(
        self,
        clock: IReactorTime,
        management: Management,
        table: IFaceTable,
        node: str,
        options: WithNeighbours,
        named: Callable[[str], INDNFace | None],
        signer: Signer,
    ) -> None:
        """
        @param node: the name of this node.
        @param named: the face of the configuration that has a name.
        @param signer: signs registrations at others.
        """
        self._options = options
        self._named = named
        self.propagation = Propagation(clock, management, table, node, self._cost)
        self.hubs = Hubs(
            clock,
            self.propagation,
            table,
            management.face.express,
            self._isHub,
            InterestSigner(signer, time.time, os.urandom),
        )

    def start(self) -> None:
        """
        From now on.
        """
        self.propagation.start()
        self.hubs.start()

    def stop(self) -> None:
        """
        No more.
        """
        self.hubs.stop()
        self.propagation.stop()

    def configure(self, options: WithNeighbours) -> None:
        """
        Take other options.
        """
        self._options = options
        self.propagation.refresh()
        self.hubs.refresh()

    def _cost(self, face: INDNFace) -> int | None:
        options = self._options
        for name in options.announce:
            if self._named(name) is face:
                return options.faces[name].cost
        peer = getattr(face, "peer", None)
        return 1 if peer is not None and peer in options.neighbours else None

    def _isHub(self, face: INDNFace) -> bool:
        return any(self._named(name) is face for name in self._options.register)

    def status(self) -> Mapping[str, Any]:
        """
        For the status API: plain values.
        """
        return {"propagation": self.propagation.status(), "hubs": self.hubs.status()}
