"""
Prefixes are registered at forwarders that know nothing of our protocol: at an NFD, by its C{rib/register}, under
C{/localhop/nfd}.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.ndn.interfaces import IFaceObserver, IFaceTable, INDNFace
from hermes.ndn.management.control import ControlParameters, ControlResponse
from hermes.ndn.management.dispatcher import LOCALHOP
from hermes.ndn.management.internalface import InterestTimeout, Nacked
from hermes.ndn.management.prefixes.neighbour import Express
from hermes.ndn.management.prefixes.paths import Path
from hermes.ndn.management.prefixes.propagation import Propagation
from hermes.ndn.management.rib import CHILD_INHERIT, ORIGIN_CLIENT
from hermes.ndn.packet.component import generic
from hermes.ndn.packet.data import decodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, peekInterest
from hermes.ndn.security.signedinterest import InterestSigner

EXPIRATION: Final = 600.0
"""
For how long a prefix is registered, in seconds. Before half of it has passed, it is once more.
"""

AT_ONCE: Final = 8
"""
How many commands are on their way to a hub at most.
"""

LIFETIME: Final = 4000
"""
How long an answer is waited for, in milliseconds.
"""

FIRST_PAUSE: Final = 1.0
MOST_PAUSE: Final = 60.0
"""
How long nothing is sent after a command has failed, in seconds: doubled each time.
"""

OK: Final = 200

_REGISTER = LOCALHOP + Name.fromText("/rib/register")
_UNREGISTER = LOCALHOP + Name.fromText("/rib/unregister")


class Hub:
    """
    One forwarder at which prefixes are registered.

    @ivar face: the face to it.
    @ivar registered: what is, as cost by prefix.
    @ivar failed: how many commands were not obeyed.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        face: INDNFace,
        express: Express,
        signer: InterestSigner,
        best: Callable[[bytes], Path | None],
        known: Callable[[], list[bytes]],
        random: Callable[[int], bytes],
    ) -> None:
        """
        @param best: the path to a prefix that it is to be told.
        @param known: all prefixes.
        @param random: that many random bytes.
        """
        self.face = face
        self.registered: dict[bytes, int] = {}
        self.failed = 0
        self._clock = clock
        self._express = express
        self._signer = signer
        self._best = best
        self._known = known
        self._random = random
        self._dirty: dict[bytes, None] = {}
        self._renew: set[bytes] = set()
        self._underWay: dict[bytes, Deferred[DataView]] = {}
        self._pause = 0.0
        self._turn: IDelayedCall | None = None
        self._renewal: IDelayedCall | None = None
        self._up = False

    def up(self) -> None:
        """
        Its link has come up: it may have forgotten everything.
        """
        self._up = True
        self._pause = 0.0
        self.registered.clear()
        self._dirty = dict.fromkeys(self._known())
        self._renewIn()
        self._sendIn(0)

    def down(self) -> None:
        """
        Its link has gone.
        """
        self._up = False
        for call in (self._turn, self._renewal):
            if call is not None:
                call.cancel()
        self._turn = self._renewal = None
        underWay, self._underWay = self._underWay, {}
        for deferred in underWay.values():
            deferred.cancel()

    def prefixChanged(self, prefix: bytes) -> None:
        """
        There may be another way to a prefix.
        """
        if self._up:
            self._dirty[prefix] = None
            if not self._pause:
                self._sendIn(0)

    def _renewIn(self) -> None:
        self._renewal = self._clock.callLater(EXPIRATION / 2.5, self._renewAll)

    def _renewAll(self) -> None:
        self._renew.update(self.registered)
        self._dirty.update(dict.fromkeys(self.registered))
        self._renewIn()
        if not self._pause:
            self._sendIn(0)

    def _sendIn(self, seconds: float) -> None:
        if self._turn is None:
            self._turn = self._clock.callLater(seconds, self._send)

    def _send(self) -> None:
        self._turn = None
        for prefix in list(self._dirty):
            if len(self._underWay) >= AT_ONCE:
                return
            if prefix not in self._underWay:
                del self._dirty[prefix]
                self._command(prefix)

    def _command(self, prefix: bytes) -> None:
        path = self._best(prefix)
        cost = None if path is None else path.cost
        renew = prefix in self._renew
        self._renew.discard(prefix)
        if cost == self.registered.get(prefix) and not (renew and cost is not None):
            return
        name = Name.fromValue(prefix)
        parameters = ControlParameters(name=name, origin=ORIGIN_CLIENT)
        if cost is not None:
            parameters.cost = cost
            parameters.flags = CHILD_INHERIT
            parameters.expiration = int(EXPIRATION * 1000)
        verb = _UNREGISTER if cost is None else _REGISTER
        wire = self._signer.encode(
            verb + generic(parameters.encode()),
            nonce=int.from_bytes(self._random(4), "big"),
            lifetime=LIFETIME,
            mustBeFresh=True,
        )
        deferred = self._underWay[prefix] = self._express(peekInterest(wire), self.face.id)
        deferred.addCallbacks(self._answered, self._unanswered, callbackArgs=(prefix, cost), errbackArgs=(prefix,))

    def _answered(self, view: DataView, prefix: bytes, cost: int | None) -> None:
        self._underWay.pop(prefix, None)
        try:
            response = ControlResponse.decode(decodeData(view.wire).content)
        except PacketError as error:
            self._refused(prefix, str(error))
            return
        if response.code != OK:
            self._refused(prefix, f"{response.code} {response.text}")
            return
        self._pause = 0.0
        if cost is None:
            self.registered.pop(prefix, None)
        else:
            self.registered[prefix] = cost
        self._sendIn(0)

    def _unanswered(self, failure: Failure, prefix: bytes) -> None:
        self._underWay.pop(prefix, None)
        if failure.check(CancelledError, ConnectionDone):
            return
        failure.trap(InterestTimeout, Nacked)
        self._refused(prefix, failure.getErrorMessage())

    def _refused(self, prefix: bytes, why: str) -> None:
        self.failed += 1
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), MOST_PAUSE)
        self._log.info(
            "{name} could not be registered by face {face}: {why}",
            name=Name.fromValue(prefix),
            face=self.face.id,
            why=why,
        )
        # After the others: one that is never obeyed does not keep them waiting.
        self._dirty[prefix] = None
        self._renew.add(prefix)
        if self._up:
            self._sendIn(self._pause)


@implementer(IFaceObserver)
class Hubs:
    """
    All of them.

    @ivar hubs: by face ID.
    """

    def __init__(
        self,
        clock: IReactorTime,
        propagation: Propagation,
        faces: IFaceTable,
        express: Express,
        isHub: Callable[[INDNFace], bool],
        signer: InterestSigner,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """
        @param propagation: knows the prefixes.
        @param isHub: says of a face whether prefixes are to be registered at its far end.
        @param signer: signs the commands.
        """
        self.hubs: dict[int, Hub] = {}
        self._clock = clock
        self._propagation = propagation
        self._faces = faces
        self._express = express
        self._isHub = isHub
        self._signer = signer
        self._random = random

    def start(self) -> None:
        """
        Register from now on.
        """
        self._propagation.observers.append(self._prefixChanged)
        self._faces.addObserver(self)

    def stop(self) -> None:
        """
        No more. What is registered expires.
        """
        self._faces.removeObserver(self)
        self._propagation.observers.remove(self._prefixChanged)
        for faceID in list(self.hubs):
            self.hubs.pop(faceID).down()

    def refresh(self) -> None:
        """
        Ask again of each face whether it leads to a hub.
        """
        for face in self._faces:
            if self._consider(face) and face.up:
                self.faceUp(face)

    def _prefixChanged(self, prefix: bytes) -> None:
        for hub in self.hubs.values():
            hub.prefixChanged(prefix)

    def faceCreated(self, face: INDNFace) -> None:
        self._consider(face)

    def faceUp(self, face: INDNFace) -> None:
        hub = self.hubs.get(face.id)
        if hub is not None:
            hub.up()

    def faceDown(self, face: INDNFace) -> None:
        hub = self.hubs.get(face.id)
        if hub is not None:
            hub.down()

    def faceDestroyed(self, face: INDNFace) -> None:
        hub = self.hubs.pop(face.id, None)
        if hub is not None:
            hub.down()

    def _consider(self, face: INDNFace) -> bool:
        """
        @return: whether it has become one.
        """
        wanted = self._isHub(face)
        if not wanted:
            self.faceDestroyed(face)
        elif face.id not in self.hubs:
            paths = self._propagation.paths
            self.hubs[face.id] = Hub(
                self._clock,
                face,
                self._express,
                self._signer,
                lambda prefix: paths.best(prefix, face.id, None),
                lambda: list(paths),
                self._random,
            )
            return True
        return False

    def status(self) -> list[Mapping[str, Any]]:
        """
        For the status API: plain values.
        """
        return [
            {"face": faceID, "registered": len(hub.registered), "failed": hub.failed}
            for faceID, hub in self.hubs.items()
        ]
