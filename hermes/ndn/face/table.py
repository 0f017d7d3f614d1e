"""
The faces of a forwarder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import Overloaded
from hermes.ndn.face.face import Face
from hermes.ndn.face.turn import Turn
from hermes.ndn.face.uri import FaceAddress
from hermes.ndn.interfaces import (
    FIRST_FACE,
    IFaceObserver,
    IFaceReceiver,
    IFaceTable,
    INDNFace,
    Persistency,
)

MAX_FACES: Final = 4096
"""
How many faces a table takes where nothing else is said.
"""

LOCAL_PART: Final = 16
"""
One in so many of them is for programs of this host only, however many others come.
"""


@implementer(IFaceTable)
class FaceTable:
    """
    See L{IFaceTable}.

    @ivar receiver: what faces feed; to be set before the first is added.
    @ivar maker: makes a face, not in the table yet, to an address (L{Maker}); L{None} where none can be made.
    @ivar maxFaces: how many it takes.
    @ivar refused: how many it did not take.
    @ivar turn: when what faces have to send leaves.
    """

    log = Logger()
    receiver: IFaceReceiver

    def __init__(self, clock: Any, maxFaces: int = MAX_FACES) -> None:
        """
        @param clock: a reactor, or its time.
        """
        self.maker: Maker | None = None
        self.maxFaces = maxFaces
        self.refused = 0
        self.clock = clock
        self.turn = Turn(clock)
        self._next = FIRST_FACE
        self._faces: dict[int, INDNFace] = {}
        # Those of which observers were told that they are up.
        self._up: set[int] = set()
        self._observers: list[IFaceObserver] = []
        self._channels: dict[object, Callable[[], Sequence[str]]] = {}

    def __iter__(self) -> Iterator[INDNFace]:
        return iter(list(self._faces.values()))

    def __len__(self) -> int:
        return len(self._faces)

    def get(self, faceID: int) -> INDNFace | None:
        return self._faces.get(faceID)

    def byURI(self, remoteURI: str, localURI: str | None = None) -> INDNFace | None:
        for face in self._faces.values():
            if face.remoteURI == remoteURI and localURI in (None, face.localURI):
                return face
        return None

    def most(self, local: bool) -> int:
        """
        How many faces there may be before one is added.

        @param local: whether it is a program's of this host.
        """
        return self.maxFaces if local else self.maxFaces - self.maxFaces // LOCAL_PART

    def add(self, face: INDNFace, faceID: int | None = None) -> INDNFace:
        """
        See L{IFaceTable}.

        @param faceID: one of those below L{FIRST_FACE}, for a face that is always called so.
        """
        most = self.most(face.local)
        if len(self._faces) >= most and faceID is None:
            self.refused += 1
            face.close()
            raise Overloaded(f"{most} faces are open: no more are taken")
        if faceID is None:
            faceID = self._next
            self._next += 1
        face.id = faceID
        self._faces[faceID] = face
        self._tell("faceCreated", face)
        if isinstance(face, Face):
            face.start(self.receiver, self.clock, self.turn, self._changed)
        elif face.up:
            self._tell("faceUp", face)
        return face

    def _changed(self, face: Face, reason: Failure | None) -> None:
        """
        The link of a face has come up, or has gone.
        """
        if face.id not in self._faces:
            return
        if reason is None:
            self._up.add(face.id)
            self._tell("faceUp", face)
            return
        if face.ended or not face.persists(reason):
            self._remove(face, reason)
        elif face.id in self._up:
            self._up.discard(face.id)
            self.log.info(
                "face {face} to {uri} is down: {reason}",
                face=face.id,
                uri=face.remoteURI,
                reason=reason.getErrorMessage(),
            )
            self._tell("faceDown", face)

    def _remove(self, face: Face, reason: Failure) -> None:
        del self._faces[face.id]
        if face.persistency != "on-demand" and not reason.check(ConnectionDone):
            self.log.info(
                "face {face} to {uri} has ended: {reason}",
                face=face.id,
                uri=face.remoteURI,
                reason=reason.getErrorMessage(),
            )
        if face.id in self._up:
            self._up.discard(face.id)
            self._tell("faceDown", face)
        self._tell("faceDestroyed", face)

    def remove(self, face: INDNFace) -> None:
        """
        Take out a face that has no link of its own, and so does not tell of its end.
        """
        if self._faces.pop(face.id, None) is not None:
            self._tell("faceDown", face)
            self._tell("faceDestroyed", face)

    def create(
        self,
        remoteURI: str,
        localURI: str | None = None,
        persistency: Persistency = "persistent",
        mtu: int | None = None,
        flags: int = 0,
    ) -> Deferred[INDNFace]:
        try:
            address = FaceAddress.fromURI(remoteURI)
            known = self.byURI(address.uri, localURI)
            if known is not None:
                return succeed(known)
            if self.maker is None:
                raise ValueError("faces can't be made here")
            if localURI is not None:
                raise ValueError(f"{localURI!r}: routes decide which way a face takes, and so what its own end is")
            return succeed(self.add(self.maker(address, persistency, mtu, flags)))
        except Exception:
            return fail(Failure())

    # Where faces are accepted

    def channels(self) -> Sequence[str]:
        return [uri for uris in self._channels.values() for uri in uris()]

    def accepts(self, key: object, uris: Callable[[], Sequence[str]] | None) -> None:
        """
        C{key} accepts faces at the URIs that C{uris} says; at none any more where it is L{None}.
        """
        if uris is None:
            self._channels.pop(key, None)
        else:
            self._channels[key] = uris

    # Observers

    def addObserver(self, observer: IFaceObserver) -> None:
        for face in self:
            observer.faceCreated(face)
            if face.up:
                observer.faceUp(face)
        self._observers.append(observer)

    def removeObserver(self, observer: IFaceObserver) -> None:
        if observer in self._observers:
            self._observers.remove(observer)

    def _tell(self, event: str, face: INDNFace) -> None:
        for observer in list(self._observers):
            try:
                getattr(observer, event)(face)
            except Exception:
                self.log.failure("{observer} failed in {event}", observer=observer, event=event)

    def closeAll(self) -> None:
        """
        Close every face.
        """
        for face in self:
            face.close()


Maker = Callable[[FaceAddress, Persistency, "int | None", int], INDNFace]
"""
Address, persistency, MTU or L{None}, flags; C{ValueError} where no face can be made to the address.
"""
