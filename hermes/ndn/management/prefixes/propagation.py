"""
Prefixes that are registered at this node become known to its neighbours, and theirs here
(C{docs/reference/ndn-prefixes.md}).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from hermes.errors import Overloaded
from hermes.ndn.interfaces import IFaceObserver, IFaceTable, INDNFace
from hermes.ndn.management.management import Management
from hermes.ndn.management.prefixes.messages import PREFIX, UPDATE, Acknowledgement, Update
from hermes.ndn.management.prefixes.neighbour import Neighbour
from hermes.ndn.management.prefixes.paths import Path, Paths
from hermes.ndn.management.prefixes.sessions import Hearing, Telling
from hermes.ndn.management.rib import (
    MAX_PREFIX,
    ORIGIN_ANNOUNCEMENT,
    ORIGIN_APP,
    ORIGIN_CLIENT,
    ORIGIN_PROPAGATED,
    RIBEntry,
    Route,
)
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.interest import decodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView, peekData
from hermes.ndn.security.signers import DigestSigner

HOLD: Final = 15.0
"""
After how long without a word a neighbour is taken for gone, in seconds.
"""

MAX_PREFIXES: Final = 10_000
"""
How many prefixes of one neighbour are taken.
"""

ANNOUNCED: Final = frozenset((ORIGIN_APP, ORIGIN_CLIENT, ORIGIN_ANNOUNCEMENT))
"""
The origins of routes that other nodes hear of.
"""

NO_CACHE: Final = 1

_HERE_ONLY = tuple(Name.fromText(text).value for text in ("/localhost", "/localhop"))


@implementer(IFaceObserver)
class Propagation:
    """
    @ivar paths: all that is known.
    @ivar observers: each is called with a prefix (a name's value) to which there may be other ways than before.
    @ivar neighbours: by face ID.
    @ivar strangers: how many updates came from faces that are no neighbours.
    @ivar malformed: how many were none.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        management: Management,
        faces: IFaceTable,
        node: str,
        cost: Callable[[INDNFace], int | None],
        hold: float = HOLD,
        maxPrefixes: int = MAX_PREFIXES,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """
        @param node: the name of this node, unlike that of any other in the overlay.
        @param cost: says of a face whether it leads to a neighbour, and what its link costs, 1 or more; L{None}: it
            does not.
        """
        self.paths = Paths()
        self.observers: list[Callable[[bytes], None]] = []
        self.neighbours: dict[int, Neighbour] = {}
        self.strangers = 0
        self.malformed = 0
        self._clock = clock
        self._management = management
        self._faces = faces
        self._node = node
        self._cost = cost
        self._hold = hold
        self._maxPrefixes = maxPrefixes
        self._random = random
        self._signer = DigestSigner()

    def start(self) -> None:
        """
        Tell and hear from now on.
        """
        rib = self._management.rib
        for entry in rib:
            self._ribChanged(entry)
        rib.observers.append(self._ribChanged)
        self._management.answer(PREFIX, self._interestReceived)
        self._faces.addObserver(self)

    def stop(self) -> None:
        """
        No more. What neighbours could reach is taken out of the RIB.
        """
        self._faces.removeObserver(self)
        self._management.answer(PREFIX, None)
        self._management.rib.observers.remove(self._ribChanged)
        for faceID in list(self.neighbours):
            self._drop(faceID)

    def refresh(self) -> None:
        """
        Ask again of each face whether it leads to a neighbour.
        """
        for face in self._faces:
            if self._consider(face) and face.up:
                self.faceUp(face)

    # Faces

    def faceCreated(self, face: INDNFace) -> None:
        self._consider(face)

    def faceUp(self, face: INDNFace) -> None:
        neighbour = self.neighbours.get(face.id)
        if neighbour is not None:
            neighbour.up()

    def faceDown(self, face: INDNFace) -> None:
        neighbour = self.neighbours.get(face.id)
        if neighbour is not None:
            neighbour.down()

    def faceDestroyed(self, face: INDNFace) -> None:
        self._drop(face.id)

    def _consider(self, face: INDNFace) -> bool:
        """
        @return: whether it has become one.
        """
        cost = self._cost(face) if face.linkType == "point-to-point" else None
        neighbour = self.neighbours.get(face.id)
        if neighbour is not None:
            if neighbour.cost == cost:
                return False
            self._drop(face.id)
        if cost is None:
            return False
        hearing = Hearing(self._node, self._maxPrefixes)
        telling = Telling(
            self._node,
            int(self._hold * 1000),
            lambda prefix: self.paths.best(prefix, face.id, hearing.node),
            self._random,
        )
        neighbour = Neighbour(
            self._clock,
            face,
            cost,
            self._management.face.express,
            telling,
            hearing,
            lambda: list(self.paths),
            self._heard,
            self._hold,
            self._random,
        )
        self.neighbours[face.id] = neighbour
        return True

    def _drop(self, faceID: int) -> None:
        neighbour = self.neighbours.pop(faceID, None)
        if neighbour is not None:
            neighbour.down()

    # What is registered here

    def _ribChanged(self, entry: RIBEntry) -> None:
        prefix = entry.name.value
        if prefix.startswith(_HERE_ONLY):
            return
        costs = [
            route.cost
            for route in entry.routes.values()
            if (route.origin in ANNOUNCED or route.announced) and route.origin != ORIGIN_PROPAGATED
        ]
        if self.paths.setHere(prefix, min(costs, default=None)):
            self._tell(prefix)

    def _tell(self, prefix: bytes) -> None:
        for neighbour in self.neighbours.values():
            neighbour.prefixChanged(prefix)
        for observer in self.observers:
            observer(prefix)

    # What neighbours say

    def _interestReceived(self, view: InterestView, pitToken: bytes | None, faceID: int | None) -> None:
        name = view.name
        if len(view.ends) != len(UPDATE) + 1 or not name.startswith(UPDATE.value):
            return
        neighbour = None if faceID is None else self.neighbours.get(faceID)
        if neighbour is None:
            self.strangers += 1
            return
        try:
            update = Update.decode(decodeInterest(view).parameters or b"")
            update.check()
            if update.node == self._node:
                raise PacketError(f"it says to be {update.node}, as this node does")
        except PacketError as error:
            self.malformed += 1
            self._log.info("face {face} has sent no update: {error}", face=faceID, error=str(error))
            return
        answer = neighbour.updateReceived(update)
        self._answer(Name.fromValue(name), answer, pitToken)

    def _answer(self, name: Name, answer: Acknowledgement, pitToken: bytes | None) -> None:
        self._management.face.put(peekData(encodeData(name, answer.encode(), self._signer)), pitToken, NO_CACHE)

    def _heard(self, neighbour: Neighbour, changes: dict[bytes, Path | None]) -> None:
        rib = self._management.rib
        faceID = neighbour.face.id
        for prefix, path in changes.items():
            if prefix.startswith(_HERE_ONLY):
                continue
            name = Name.fromValue(prefix)
            if path is not None:
                path = Path.over(path.nodes, path.cost + neighbour.cost)
                if len(name) > MAX_PREFIX:
                    continue
                try:
                    rib.register(name, Route(faceID, ORIGIN_PROPAGATED, path.cost))
                except Overloaded as error:
                    self._log.warn("{name} by face {face}: {error}", name=name, face=faceID, error=str(error))
                    path = None
            if path is None:
                rib.unregister(name, faceID, ORIGIN_PROPAGATED)
            if self.paths.set(prefix, faceID, path):
                self._tell(prefix)

    def status(self) -> Mapping[str, Any]:
        """
        For the status API: plain values.
        """
        return {
            "node": self._node,
            "prefixes": len(self.paths),
            "here": sum(1 for _ in self.paths.here()),
            "strangers": self.strangers,
            "malformed": self.malformed,
            "neighbours": [
                {
                    "face": faceID,
                    "node": neighbour.hearing.node,
                    "cost": neighbour.cost,
                    "prefixes": self.paths.count(faceID),
                    "ignored": neighbour.hearing.ignored,
                    "untold": neighbour.telling.silent,
                    "told": not neighbour.telling.pending,
                }
                for faceID, neighbour in self.neighbours.items()
            ],
        }
