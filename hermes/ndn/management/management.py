"""
The management of one forwarder: an internal face, the modules that answer there, the RIB, notifications of faces.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import define
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from hermes.ndn.face.table import FaceTable
from hermes.ndn.forwarder.forwarder import Forwarder
from hermes.ndn.interfaces import INTERNAL_FACE, IFaceObserver, INDNFace
from hermes.ndn.management.authorization import Authorizer
from hermes.ndn.management.dispatcher import LOCALHOP, LOCALHOST, Dispatcher
from hermes.ndn.management.internalface import Answer, InternalFace
from hermes.ndn.management.modules.cs import StoreModule
from hermes.ndn.management.modules.faces import FaceModule, event
from hermes.ndn.management.modules.fib import FIBModule
from hermes.ndn.management.modules.rib import RIBModule
from hermes.ndn.management.modules.status import StatusModule
from hermes.ndn.management.modules.strategychoice import StrategyModule
from hermes.ndn.management.prefixes.messages import PREFIX
from hermes.ndn.management.publisher import DatasetPublisher, NotificationStream
from hermes.ndn.management.rib import RIB, RIBEntry
from hermes.ndn.management.statuses import FACE_CREATED, FACE_DESTROYED, FACE_DOWN, FACE_UP
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.security.signers import DigestSigner


@define
class Trust:
    """
    Who is obeyed.

    @ivar localhost: programs on this host.
    @ivar localhop: neighbours, who may register prefixes towards themselves; L{None}: they may not.
    """

    localhost: Authorizer
    localhop: Authorizer | None = None

    @classmethod
    def anybody(cls, now: Callable[[], float] = time.time) -> Trust:
        """
        Every program on this host, and no neighbour.
        """
        return cls(Authorizer(None, now))


@implementer(IFaceObserver)
class Management:
    """
    @ivar rib: the RIB. Whoever registers a prefix does so here.
    @ivar face: the internal face.
    @ivar dispatcher: answers what arrives there.
    """

    def __init__(
        self,
        clock: IReactorTime,
        forwarder: Forwarder,
        faces: FaceTable,
        trust: Trust | None = None,
        signer: Signer | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        @param faces: its faces, which the forwarder observes.
        @param trust: who is obeyed; L{Trust.anybody} unless given.
        @param signer: signs what is answered; a digest unless given.
        @param now: seconds since 1970.
        """
        trust = Trust.anybody(now) if trust is None else trust
        signer = DigestSigner() if signer is None else signer
        self.rib = RIB(forwarder.setNextHop)
        self.rib.observers.append(self._ribChanged)
        self.face = InternalFace(clock, forwarder, self._interestReceived)
        self._clock = clock
        self._forwarder = forwarder
        self._faces = faces
        self._localhop = trust.localhop is not None
        self._started = False
        self._expiry: IDelayedCall | None = None
        self._answers: dict[bytes, Answer] = {}
        self._events = NotificationStream(LOCALHOST + Name.fromText("/faces/events"), clock, signer, self.face.put)
        self.dispatcher = Dispatcher(
            self.face, DatasetPublisher(clock, signer, now), signer, trust.localhost, trust.localhop, self._isLocal
        )
        self.dispatcher.addStream(self._events)
        for module in (
            FaceModule(faces).module,
            FIBModule(forwarder).module,
            RIBModule(self.rib, clock, now, faces.get, self._reserved).module,
            StrategyModule(forwarder.strategies).module,
            StatusModule(forwarder, now).module,
        ):
            self.dispatcher.add(module)
        if hasattr(forwarder.cs, "maxPackets"):
            self.dispatcher.add(StoreModule(forwarder.cs).module)

    def start(self) -> None:
        """
        Answer from now on.
        """
        self._faces.add(self.face, INTERNAL_FACE)
        self._forwarder.setNextHop(LOCALHOST.value, INTERNAL_FACE, 0)
        self._started = True
        self._setLocalhop(self._localhop)
        self._faces.addObserver(self)

    def stop(self) -> None:
        """
        Answer no more.
        """
        self._faces.removeObserver(self)
        self.face.close()
        self._faces.remove(self.face)
        expiry, self._expiry = self._expiry, None
        if expiry is not None:
            expiry.cancel()

    def trust(self, trust: Trust) -> None:
        """
        Obey others from now on.
        """
        self.dispatcher.trust(trust.localhost, trust.localhop)
        self._setLocalhop(trust.localhop is not None)

    def _setLocalhop(self, localhop: bool) -> None:
        """
        Whether neighbours may give commands.
        """
        self._localhop = localhop
        if self._started:
            name = LOCALHOP + Name.fromText("/rib")
            self._forwarder.setNextHop(name.value, INTERNAL_FACE, 0 if localhop else None)

    def _reserved(self) -> list[Name]:
        """
        Prefixes that nobody registers.
        """
        return [LOCALHOST, PREFIX, LOCALHOP] if self._localhop else [LOCALHOST, PREFIX]

    # Faces

    def faceCreated(self, face: INDNFace) -> None:
        self._post(face, FACE_CREATED)

    def faceUp(self, face: INDNFace) -> None:
        self._post(face, FACE_UP)

    def faceDown(self, face: INDNFace) -> None:
        self._post(face, FACE_DOWN)

    def faceDestroyed(self, face: INDNFace) -> None:
        self.rib.removeFace(face.id)
        self._post(face, FACE_DESTROYED)

    def _post(self, face: INDNFace, kind: int) -> None:
        if face is not self.face:
            self._events.post(event(face, kind).encode())

    def _isLocal(self, faceID: int | None) -> bool:
        face = None if faceID is None else self._faces.get(faceID)
        return face is not None and face.local

    # Routes that expire

    def _ribChanged(self, entry: RIBEntry) -> None:
        due = self.rib.nextExpiry
        expiry = self._expiry
        if due is None:
            return
        wait = max(due - self._clock.seconds(), 0)
        if expiry is None:
            self._expiry = self._clock.callLater(wait, self._expire)
        elif expiry.getTime() > due:
            expiry.reset(wait)

    def _expire(self) -> None:
        self._expiry = None
        self.rib.expire(self._clock.seconds())
        due = self.rib.nextExpiry
        if due is not None and self._expiry is None:
            self._expiry = self._clock.callLater(max(due - self._clock.seconds(), 0), self._expire)

    # What arrives at the internal face

    def answer(self, prefix: Name, answer: Answer | None) -> None:
        """
        Hand Interests under a prefix to somebody else from now on, or to nobody any more.

        @param prefix: none that others have, nor one that begins so or that they begin with.
        """
        if answer is None:
            self._answers.pop(prefix.value, None)
            self._forwarder.setNextHop(prefix.value, INTERNAL_FACE, None)
        else:
            self._answers[prefix.value] = answer
            self._forwarder.setNextHop(prefix.value, INTERNAL_FACE, 0)

    def _interestReceived(self, view: InterestView, pitToken: bytes | None, faceID: int | None) -> None:
        for prefix, answer in self._answers.items():
            if view.name.startswith(prefix):
                answer(view, pitToken, faceID)
                return
        self.dispatcher.interestReceived(view, pitToken, faceID)
