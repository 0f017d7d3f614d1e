"""
A forwarder with its faces and its management, as a configuration says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from hermes.config.types import Name as FaceName
from hermes.errors import HermesError, Overloaded, ShuttingDown
from hermes.ndn.face.dialed import DialedFace
from hermes.ndn.face.face import Face
from hermes.ndn.face.link import CONGESTION_MARKING, RELIABILITY
from hermes.ndn.face.table import FaceTable
from hermes.ndn.face.uri import FaceAddress
from hermes.ndn.forwarder.contentstore import ContentStore
from hermes.ndn.forwarder.forwarder import Forwarder
from hermes.ndn.forwarder.strategychoice import DEFAULT
from hermes.ndn.interfaces import INDNFace, Persistency
from hermes.ndn.management.management import Management
from hermes.ndn.management.rib import ORIGIN_STATIC, Route
from hermes.ndn.options import FaceOptions, NDNOptions
from hermes.ndn.packet.name import Name

MakeFace = Callable[[FaceAddress, Persistency, "int | None", int, bool, str], DialedFace]
"""
Address, persistency, MTU or L{None}, flags, whether it is direct, and its name: see
L{hermes.ndn.face.dialing.LinkDialer.face}.
"""


class NameService:
    """
    The forwarder of a node. It may be L{configure}d any number of times.

    @ivar table: its faces.
    @ivar forwarder: the forwarder.
    @ivar management: NFD's management protocol, and the RIB.
    @ivar faces: the faces of the configuration, by name.
    """

    log = Logger()

    def __init__(self, clock: Any, options: NDNOptions, makeFace: MakeFace) -> None:
        """
        @param clock: a reactor.
        @raise HermesError: with a sentence for the operator, where it can't be as the options say.
        """
        self.table = FaceTable(clock, options.maxFaces)
        self.forwarder = Forwarder(clock, ContentStore(clock, options.store))
        self.table.receiver = self.forwarder
        self.table.addObserver(self.forwarder)
        self.table.maker = lambda address, persistency, mtu, flags: makeFace(
            address, persistency, mtu, flags, False, str(address)
        )
        self.management = Management(clock, self.forwarder, self.table)
        self.faces: dict[FaceName, INDNFace] = {}
        self._makeFace = makeFace
        self._options = options
        self._strategies: set[bytes] = set()
        self._started = False
        self.check(options)

    def check(self, options: NDNOptions) -> None:
        """
        Whether options can be had.

        @raise HermesError: with a sentence for the operator, where they can't.
        """
        for name, face in options.faces.items():
            try:
                self._face(name, face)
            except ValueError as error:
                raise HermesError(f"face {name}: {error}") from None
        for prefix, strategy in options.strategies.items():
            try:
                self.forwarder.strategies.make(self.forwarder.strategies.named(strategy))
            except (LookupError, ValueError) as error:
                raise HermesError(f"the strategy of {prefix}: {error.args[0]}") from None

    def start(self) -> None:
        """
        Make what the configuration says, and answer.
        """
        self._started = True
        self.management.start()
        self._apply(self._options)

    def configure(self, options: NDNOptions) -> None:
        """
        Take other options, which were L{check}ed. What stays the same goes on: faces keep their links, and whoever is
        connected stays connected.
        """
        before, self._options = self._options, options
        self.table.maxFaces = options.maxFaces
        if isinstance(self.forwarder.cs, ContentStore) and options.store != before.store:
            self.forwarder.cs.capacity = options.store
        for name in [name for name in self.faces if options.faces.get(name) != before.faces.get(name)]:
            self.faces.pop(name).close()
        self._apply(options)

    def _apply(self, options: NDNOptions) -> None:
        for name, config in options.faces.items():
            face = self.faces.get(name)
            # A persistent one may have ended.
            if face is None or self.table.get(face.id) is not face:
                try:
                    self.faces[name] = self.table.add(self._face(name, config))
                except Overloaded as error:
                    self.log.error("face {face}: {error}", face=name, error=error)
        self._applyPrefixes(options)
        self._applyStrategies(options)

    def _face(self, name: str, config: FaceOptions) -> DialedFace:
        flags = CONGESTION_MARKING * config.congestionMarks | RELIABILITY * config.reliability
        return self._makeFace(
            FaceAddress.fromText(config.to), config.persistency, config.mtu, flags, config.direct, name
        )

    def _applyPrefixes(self, options: NDNOptions) -> None:
        rib = self.management.rib
        wanted: dict[tuple[bytes, int], tuple[Name, Route]] = {}
        for prefix in options.prefixes:
            face = self.faces.get(prefix.face)
            if face is not None:
                name = Name.fromText(prefix.prefix)
                wanted[name.value, face.id] = name, Route(face.id, ORIGIN_STATIC, prefix.cost, flags=0)
        for entry in list(rib):
            for route in list(entry.routes.values()):
                if route.origin == ORIGIN_STATIC and (entry.name.value, route.faceID) not in wanted:
                    rib.unregister(entry.name, route.faceID, ORIGIN_STATIC)
        for name, route in wanted.values():
            rib.register(name, route)

    def _applyStrategies(self, options: NDNOptions) -> None:
        strategies = self.forwarder.strategies
        wanted = {Name.fromText(prefix).value: strategy for prefix, strategy in options.strategies.items()}
        for prefix in self._strategies - wanted.keys():
            if prefix:
                strategies.unset(prefix)
            else:
                strategies.set(b"", strategies.named(DEFAULT))
        for prefix, strategy in wanted.items():
            strategies.set(prefix, strategies.named(strategy))
        self._strategies = set(wanted)

    def add(self, face: Face) -> None:
        """
        Take in a face that somebody else has opened.

        @raise FlowError: where there can be no more.
        """
        self.checkRoom()
        self.table.add(face)

    def checkRoom(self) -> None:
        """
        @raise FlowError: where no further face is taken.
        """
        if not self._started:
            raise ShuttingDown("the forwarder is shutting down")
        if len(self.table) >= self.table.maxFaces:
            self.table.refused += 1
            raise Overloaded(f"{self.table.maxFaces} faces are open: no more are taken")

    def retry(self) -> None:
        """
        Faces that wait to open their links do so now.
        """
        for face in self.table:
            if isinstance(face, DialedFace):
                face.retry()

    def stop(self) -> None:
        """
        Close every face.
        """
        if not self._started:
            return
        self._started = False
        self.management.stop()
        self.table.closeAll()
        self.forwarder.stop()
