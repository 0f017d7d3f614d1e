"""
Module C{faces}: which there are, and their making, changing and end (NFD Management, "Face Management").
"""

from __future__ import annotations

from typing import Final

from twisted.python.failure import Failure

from hermes.errors import FlowError, Overloaded
from hermes.ndn.face.link import LEAST_MTU, LOCAL_FIELDS
from hermes.ndn.interfaces import FIRST_FACE, IFaceTable, INDNFace
from hermes.ndn.management.commands import (
    BAD,
    CONFLICT,
    FORBIDDEN,
    FULL,
    NO_ANSWER,
    NOT_FOUND,
    OK,
    UNSUPPORTED,
    Command,
    Module,
    Origin,
    Rejected,
    Reply,
    Rule,
)
from hermes.ndn.management.control import ControlParameters, ControlResponse
from hermes.ndn.management.statuses import (
    LINK_TYPES,
    PERSISTENCIES,
    ChannelStatus,
    FaceEvent,
    FaceQueryFilter,
    FaceStatus,
)
from hermes.ndn.packet.component import GENERIC, componentType, componentValue
from hermes.ndn.packet.errors import PacketError

ALL_FLAGS: Final = 7

# Behind the prefix, module and verb.
_ARGUMENT = 4

_PROPERTIES = "persistency congestionInterval congestionThreshold mtu flags mask"


class FaceModule:
    """
    @ivar module: for the dispatcher.
    """

    def __init__(self, faces: IFaceTable) -> None:
        self._faces = faces
        self.module = Module(
            "faces",
            {
                "create": Command(Rule.of("uri", f"localURI {_PROPERTIES}"), self._create),
                "update": Command(Rule.of("", f"faceID {_PROPERTIES}"), self._update),
                "destroy": Command(Rule.of("faceID"), self._destroy),
            },
            {"list": self._list, "query": self._query, "channels": self._channels},
        )

    def _create(self, parameters: ControlParameters, origin: Origin) -> Reply:
        uri, localURI = parameters.uri or "", parameters.localURI
        if "://" not in uri or (localURI is not None and "://" not in localURI):
            return ControlResponse.of(BAD, "Malformed command", parameters)
        number = parameters.persistency or 0
        if number >= len(PERSISTENCIES):
            return ControlResponse.of(BAD, "failed in validating parameters", parameters)
        if PERSISTENCIES[number] == "on-demand":
            return ControlResponse.of(UNSUPPORTED, "Outgoing faces do not support on-demand persistency", parameters)
        flags = (parameters.flags or 0) & (parameters.mask or 0)
        if flags & LOCAL_FIELDS:
            # A face that is asked for is a flow, and so never a local one.
            text = "Local fields can only be enabled on faces with local scope"
            return ControlResponse.of(UNSUPPORTED, text, parameters)
        there = {face.id for face in self._faces}
        making = self._faces.create(uri, localURI, PERSISTENCIES[number], parameters.mtu, flags)

        def made(face: INDNFace) -> ControlResponse:
            if face.id in there:
                return ControlResponse.of(CONFLICT, "Face with remote URI already exists", properties(face, True))
            self._setMarking(face, parameters)
            return ControlResponse.of(OK, "OK", properties(face, True))

        def failed(failure: Failure) -> ControlResponse:
            if failure.check(ValueError):
                # Whoever asked wants to know why; it is no secret what faces can be made here.
                return ControlResponse.of(UNSUPPORTED, failure.getErrorMessage(), parameters)
            if failure.check(Overloaded):
                return ControlResponse.of(FULL, failure.getErrorMessage(), parameters)
            failure.trap(FlowError)
            return ControlResponse.of(NO_ANSWER, failure.getErrorMessage(), parameters)

        return making.addCallbacks(made, failed)

    def _update(self, parameters: ControlParameters, origin: Origin) -> Reply:
        faceID = parameters.faceID or origin.faceID
        if faceID is None:
            return ControlResponse.of(NOT_FOUND, "No FaceId specified and IncomingFaceId not available", parameters)
        face = self._faces.get(faceID)
        if face is None:
            return ControlResponse.of(NOT_FOUND, "Specified face does not exist", parameters)
        flags, mask = parameters.flags or 0, (parameters.mask or 0) & ALL_FLAGS
        wrong = ControlParameters()
        if flags & mask & LOCAL_FIELDS and not face.local:
            wrong.flags = wrong.mask = LOCAL_FIELDS
        persistency = parameters.persistency
        if persistency is not None and not self._canBe(face, persistency):
            wrong.persistency = persistency
        if parameters.mtu is not None and parameters.mtu < LEAST_MTU:
            wrong.mtu = parameters.mtu
        if wrong != ControlParameters():
            return ControlResponse.of(CONFLICT, "Invalid properties specified", wrong)
        if persistency is not None:
            face.persistency = PERSISTENCIES[persistency]
        if mask:
            face.flags = (face.flags & ~mask) | (flags & mask)
        if parameters.mtu is not None:
            face.mtu = parameters.mtu
        self._setMarking(face, parameters)
        return ControlResponse.of(OK, "OK", properties(face, False))

    @staticmethod
    def _canBe(face: INDNFace, persistency: int) -> bool:
        """
        Whether a face may have this persistency: a connection that was accepted can't be made again from here, and one
        that was made from here does not end by itself.
        """
        if persistency >= len(PERSISTENCIES):
            return False
        wanted = PERSISTENCIES[persistency]
        if wanted == face.persistency or "on-demand" not in (wanted, face.persistency):
            return True
        return bool(getattr(face, "settles", False))

    @staticmethod
    def _setMarking(face: INDNFace, parameters: ControlParameters) -> None:
        """
        When a face sets congestion marks.
        """
        marker = getattr(face, "marker", None)
        if marker is not None:
            if parameters.congestionInterval is not None:
                marker.interval = parameters.congestionInterval / 1e9
            if parameters.congestionThreshold is not None:
                marker.threshold = parameters.congestionThreshold

    def _destroy(self, parameters: ControlParameters, origin: Origin) -> Reply:
        faceID = parameters.faceID or 0
        if not faceID:
            return ControlResponse.of(BAD, "failed in validating parameters", parameters)
        if faceID < FIRST_FACE:
            return ControlResponse.of(FORBIDDEN, "The face is the forwarder's own", parameters)
        face = self._faces.get(faceID)
        if face is not None:
            face.close()
        return ControlResponse.of(OK, "OK", parameters)

    def _list(self, origin: Origin) -> bytes:
        return b"".join([status(face).encode() for face in self._faces])

    def _query(self, origin: Origin) -> bytes:
        name = origin.name
        try:
            if len(name) <= _ARGUMENT or componentType(name[_ARGUMENT]) != GENERIC:
                raise PacketError("there is no filter")
            wanted = FaceQueryFilter.decode(componentValue(name[_ARGUMENT]))
        except PacketError as error:
            raise Rejected(BAD, "Malformed filter") from error
        return b"".join([each.encode() for each in map(status, self._faces) if wanted.takes(each)])

    def _channels(self, origin: Origin) -> bytes:
        return b"".join([ChannelStatus(localURI=uri).encode() for uri in self._faces.channels()])


def status(face: INDNFace) -> FaceStatus:
    """
    A face in a dataset.
    """
    counters = face.counters
    expires = face.expires
    marker = getattr(face, "marker", None)
    return FaceStatus(
        faceID=face.id,
        uri=face.remoteURI,
        localURI=face.localURI,
        expiration=None if expires is None else max(int(expires * 1000), 0),
        scope=int(face.local),
        persistency=PERSISTENCIES.index(face.persistency),
        linkType=LINK_TYPES.index(face.linkType),
        congestionInterval=None if marker is None else int(marker.interval * 1e9),
        congestionThreshold=None if marker is None else marker.threshold,
        mtu=face.mtu,
        inInterests=counters.inInterests,
        inData=counters.inData,
        inNacks=counters.inNacks,
        outInterests=counters.outInterests,
        outData=counters.outData,
        outNacks=counters.outNacks,
        inBytes=counters.inBytes,
        outBytes=counters.outBytes,
        flags=face.flags & ALL_FLAGS,
    )


def event(face: INDNFace, kind: int) -> FaceEvent:
    """
    What happened to a face, as a notification.

    @param kind: C{FACE_CREATED} and others in L{hermes.ndn.management.statuses}.
    """
    return FaceEvent(
        kind=kind,
        faceID=face.id,
        uri=face.remoteURI,
        localURI=face.localURI,
        scope=int(face.local),
        persistency=PERSISTENCIES.index(face.persistency),
        linkType=LINK_TYPES.index(face.linkType),
        flags=face.flags & ALL_FLAGS,
    )


def properties(face: INDNFace, withURIs: bool) -> ControlParameters:
    """
    A face in a response.
    """
    marker = getattr(face, "marker", None)
    return ControlParameters(
        faceID=face.id,
        uri=face.remoteURI if withURIs else None,
        localURI=face.localURI if withURIs else None,
        congestionInterval=None if marker is None else int(marker.interval * 1e9),
        congestionThreshold=None if marker is None else marker.threshold,
        mtu=face.mtu,
        flags=face.flags & ALL_FLAGS,
        persistency=PERSISTENCIES.index(face.persistency),
    )
