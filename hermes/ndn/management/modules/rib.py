"""
Module C{rib}: prefixes are registered (NFD Management, "RIB Management", "Prefix Announcement Protocol").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from attrs import evolve
from twisted.internet.interfaces import IReactorTime

from hermes.errors import Overloaded
from hermes.ndn.interfaces import INDNFace
from hermes.ndn.management.announcement import PrefixAnnouncement
from hermes.ndn.management.commands import (
    BAD,
    FORBIDDEN,
    FULL,
    GONE,
    OK,
    TOO_LONG,
    Command,
    Module,
    ObjectCommand,
    Origin,
    Reply,
    Rule,
)
from hermes.ndn.management.control import ControlParameters, ControlResponse
from hermes.ndn.management.rib import CHILD_INHERIT, MAX_PREFIX, ORIGIN_ANNOUNCEMENT, ORIGIN_APP, RIB, Route
from hermes.ndn.management.statuses import RIBEntryStatus, RouteStatus
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name

# ExpirationPeriod of a route that never expires, as ndn-cxx writes it: its largest duration in milliseconds.
_FOREVER: Final = (1 << 63) - 1


class RIBModule:
    """
    @ivar module: for the dispatcher.
    """

    def __init__(
        self,
        rib: RIB,
        clock: IReactorTime,
        now: Callable[[], float],
        face: Callable[[int], INDNFace | None],
        reserved: Callable[[], Sequence[Name]] = tuple,
    ) -> None:
        """
        @param now: seconds since 1970.
        @param face: finds a face by its ID.
        @param reserved: prefixes of the forwarder itself, which nobody registers, nor anything under them.
        """
        self._rib = rib
        self._clock = clock
        self._now = now
        self._face = face
        self._reserved = reserved
        self.module = Module(
            "rib",
            {
                "register": Command(Rule.of("name", "faceID origin cost flags expiration"), self._register),
                "unregister": Command(Rule.of("name", "faceID origin"), self._unregister),
                "announce": ObjectCommand(self._announce),
            },
            {"list": self._list},
            localhop=True,
        )

    def _register(self, parameters: ControlParameters, origin: Origin) -> Reply:
        name = parameters.name or Name()
        route = Route(
            parameters.faceID or origin.faceID or 0,
            ORIGIN_APP if parameters.origin is None else parameters.origin,
            parameters.cost or 0,
            CHILD_INHERIT if parameters.flags is None else parameters.flags,
        )
        if parameters.expiration is not None and parameters.expiration < _FOREVER:
            route.expires = self._clock.seconds() + parameters.expiration / 1000
        return self._add(name, route, parameters, origin)

    def _add(self, name: Name, route: Route, parameters: ControlParameters, origin: Origin) -> ControlResponse:
        if len(name) > MAX_PREFIX:
            return ControlResponse.of(TOO_LONG, f"Route prefix cannot exceed {MAX_PREFIX} components", parameters)
        if any(each.isPrefixOf(name) for each in self._reserved()):
            return ControlResponse.of(FORBIDDEN, "The prefix is the forwarder's own", parameters)
        if origin.localhop:
            if route.faceID != origin.faceID:
                return ControlResponse.of(FORBIDDEN, "A neighbour registers towards itself only", parameters)
            if name.value.startswith(_LOCALHOST):
                return ControlResponse.of(FORBIDDEN, "/localhost is not a neighbour's", parameters)
        if self._face(route.faceID) is None:
            return ControlResponse.of(GONE, "Face not found", parameters)
        try:
            if route.expires is not None and route.expires <= self._clock.seconds():
                self._rib.unregister(name, *route.key)
            else:
                self._rib.register(name, route)
        except Overloaded as error:
            return ControlResponse.of(FULL, str(error), parameters)
        body = evolve(
            parameters, name=name, faceID=route.faceID, origin=route.origin, cost=route.cost, flags=route.flags
        )
        return ControlResponse.of(OK, "Success", body)

    def _unregister(self, parameters: ControlParameters, origin: Origin) -> Reply:
        name = parameters.name or Name()
        faceID = parameters.faceID or origin.faceID or 0
        routeOrigin = ORIGIN_APP if parameters.origin is None else parameters.origin
        if origin.localhop and faceID != origin.faceID:
            return ControlResponse.of(FORBIDDEN, "A neighbour unregisters its own only", parameters)
        self._rib.unregister(name, faceID, routeOrigin)
        return ControlResponse.of(OK, "Success", evolve(parameters, faceID=faceID, origin=routeOrigin))

    def _announce(self, origin: Origin) -> Reply:
        parameters = ControlParameters()
        try:
            announcement = PrefixAnnouncement.decode(origin.interest.parameters or b"")
        except PacketError:
            return ControlResponse.of(BAD, "Malformed command", parameters)
        seconds = announcement.secondsLeft(self._now())
        route = Route(origin.faceID or 0, ORIGIN_ANNOUNCEMENT, expires=self._clock.seconds() + seconds)
        parameters = ControlParameters(
            name=announcement.prefix,
            faceID=route.faceID,
            origin=route.origin,
            cost=route.cost,
            flags=route.flags,
            expiration=max(int(seconds * 1000), 0),
        )
        if seconds <= 0:
            return ControlResponse.of(BAD, "The announcement is not valid now", parameters)
        return self._add(announcement.prefix, route, parameters, origin)

    def _list(self, origin: Origin) -> bytes:
        now = self._clock.seconds()
        return b"".join(
            [
                RIBEntryStatus(
                    name=entry.name, routes=tuple([_status(route, now) for route in entry.routes.values()])
                ).encode()
                for entry in self._rib
            ]
        )


_LOCALHOST = Name.fromText("/localhost").value


def _status(route: Route, now: float) -> RouteStatus:
    expires = route.expires
    return RouteStatus(
        faceID=route.faceID,
        origin=route.origin,
        cost=route.cost,
        flags=route.flags,
        expiration=None if expires is None else max(int((expires - now) * 1000), 0),
    )
