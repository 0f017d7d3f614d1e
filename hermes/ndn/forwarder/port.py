"""
A face as the forwarder keeps it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from hermes.ndn.interfaces import INDNFace

if TYPE_CHECKING:
    from hermes.ndn.forwarder.fib import FIBEntry
    from hermes.ndn.forwarder.pitentry import InRecord, PITEntry


class Port:
    """
    What the forwarder knows of a face beside the face itself. Tables and strategies refer to ports; they are compared
    by identity, as the same face is always the same port.

    @ivar face: the face.
    @ivar id: its ID.
    @ivar local: whether its scope is local.
    @ivar pointToPoint: whether it has one peer: only there are Nacks sent and heeded.
    @ivar adHoc: whether what comes from it may have to go back to it, for others to hear.
    @ivar attached: whether the forwarder still has it.
    @ivar up: whether what is sent now may arrive.
    @ivar sendInterest: see L{INDNFace}, as are the others.
    @ivar pending: the PIT entries with an in-record of this face, the oldest in-record first.
    @ivar charge: bytes that these count against its share of the PIT.
    @ivar pausedUntil: until when, in seconds of the clock, no more of its Interests are taken, for its share is full of
        what must have its time first.
    @ivar routes: the FIB entries with a next hop that is this face.
    """

    __slots__ = (
        "adHoc",
        "attached",
        "charge",
        "face",
        "id",
        "local",
        "pausedUntil",
        "pending",
        "pointToPoint",
        "routes",
        "sendData",
        "sendInterest",
        "sendNack",
        "up",
    )

    def __init__(self, face: INDNFace) -> None:
        self.face = face
        self.id: int = face.id
        self.local: bool = face.local
        self.pointToPoint: bool = face.linkType == "point-to-point"
        self.adHoc: bool = face.linkType == "ad-hoc"
        self.attached = True
        self.up = True
        self.sendInterest = face.sendInterest
        self.sendData = face.sendData
        self.sendNack = face.sendNack
        self.pending: OrderedDict[PITEntry, InRecord] = OrderedDict()
        self.charge = 0
        self.pausedUntil = 0.0
        self.routes: dict[FIBEntry, None] = {}

    def __repr__(self) -> str:
        return f"<Port {self.id}>"
