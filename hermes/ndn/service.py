"""
A forwarder with its faces and its management, as a configuration says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
from hermes.ndn.forwarder.hint import Regions
from hermes.ndn.forwarder.strategychoice import DEFAULT
from hermes.ndn.interfaces import IContentStore, INDNFace, Persistency
from hermes.ndn.management.management import Management
from hermes.ndn.management.neighbourhood import Neighbourhood
from hermes.ndn.management.options import signerOf, trustOf
from hermes.ndn.management.rib import ORIGIN_STATIC, Route
from hermes.ndn.options import FaceOptions, NDNOptions
from hermes.ndn.packet.name import Name
from hermes.ndn.tally import FaceTally

MakeFace = Callable[[FaceAddress, Persistency, "int | None", int, bool, str], DialedFace]
"""
Address, persistency, MTU or L{None}, flags, whether it is direct, and its name: see
L{hermes.ndn.face.dialing.LinkDialer.face}.
"""


def regionsOf(options: NDNOptions) -> list[bytes]:
    """
    The names of the regions, as the forwarder wants them.
    """
    return [Name.fromText(region).value for region in options.regions]


class NameService:
    """
    The forwarder of a node. It may be L{configure}d any number of times.

    @ivar table: its faces.
    @ivar forwarder: the forwarder.
    @ivar management: NFD's management protocol, and the RIB.
    @ivar neighbourhood: tells other nodes of prefixes, and hears of theirs.
    @ivar faces: the faces of the configuration, by name.
    @ivar groups: those to the neighbours on a network, by its interface.
    @ivar tally: what faces have counted.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        options: NDNOptions,
        makeFace: MakeFace,
        nodeName: str = "node",
        store: IContentStore | None = None,
    ) -> None:
        """
        @param clock: a reactor.
        @param nodeName: the name of this node.
        @param store: the Content Store; one of its own, as the options say, unless given.
        @raise HermesError: with a sentence for the operator, where it can't be as the options say.
        """
        self.faces: dict[FaceName, INDNFace] = {}
        self.groups: dict[str, list[INDNFace]] = {}
        self.table = FaceTable(clock, options.maxFaces)
        self.forwarder = Forwarder(
            clock,
            ContentStore(clock, options.store) if store is None else store,
            pitCapacity=options.pitCapacity,
            regions=regionsOf(options),
            keepsUnsolicited=options.keepsUnsolicited,
        )
        self.table.receiver = self.forwarder
        self.table.addObserver(self.forwarder)
        self.tally = FaceTally(self._nameOf)
        self.table.addObserver(self.tally)
        signer = signerOf(options.management)
        self.management = Management(clock, self.forwarder, self.table, trustOf(options.management, time.time), signer)
        self.neighbourhood = Neighbourhood(
            clock, self.management, self.table, nodeName, options, lambda name: self.faces.get(FaceName(name)), signer
        )
        self._makeFace = makeFace
        self._options = options
        self._strategies: set[bytes] = set()
        # What of the RIB is of the configuration: others may have static routes there too.
        self._static: dict[tuple[bytes, int], Name] = {}
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
        trustOf(options.management, time.time)
        signerOf(options.management)

    def start(self) -> None:
        """
        Make what the configuration says, and answer.
        """
        self._started = True
        self.management.start()
        self.neighbourhood.start()
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
        self.forwarder.limit(options.pitCapacity)
        self.forwarder.regions = Regions(regionsOf(options))
        self.forwarder.keepsUnsolicited = options.keepsUnsolicited
        if options.management != before.management:
            self.management.trust(trustOf(options.management, time.time))
        for name in [name for name in self.faces if options.faces.get(name) != before.faces.get(name)]:
            self.faces.pop(name).close()
        self._apply(options)
        self.neighbourhood.configure(options)

    def _apply(self, options: NDNOptions) -> None:
        for name, config in options.faces.items():
            face = self.faces.get(name)
            # A persistent one may have ended.
            if face is None or self.table.get(face.id) is not face:
                # Whoever hears of it may want to know its name.
                made = self.faces[name] = self._face(name, config)
                try:
                    self.table.add(made)
                except Overloaded as error:
                    del self.faces[name]
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
            name = Name.fromText(prefix.prefix)
            for face in self._facesOf(prefix.face):
                wanted[name.value, face.id] = (
                    name,
                    Route(face.id, ORIGIN_STATIC, prefix.cost, flags=0, announced=prefix.announce),
                )
        for key in self._static.keys() - wanted.keys():
            rib.unregister(self._static[key], key[1], ORIGIN_STATIC)
        for name, route in wanted.values():
            rib.register(name, route)
        self._static = {key: name for key, (name, _) in wanted.items()}

    def _facesOf(self, name: FaceName) -> Sequence[INDNFace]:
        """
        What a prefix leads to that says so: a face, or the neighbours on a network, by either version of IP.
        """
        face = self.faces.get(name)
        return self.groups.get(name, ()) if face is None else (face,)

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

    def _nameOf(self, face: INDNFace) -> str | None:
        return next((name for name, each in self.faces.items() if each is face), None)

    def add(self, face: Face) -> None:
        """
        Take in a face that somebody else has opened.

        @raise FlowError: where there can be no more.
        """
        self.checkRoom()
        self.table.add(face)

    def addGroups(self, interface: str, faces: Sequence[Face]) -> None:
        """
        Take in the faces to the neighbours on a network; prefixes may lead there.

        @raise FlowError: as L{add}.
        """
        for face in faces:
            self.add(face)
            self.groups.setdefault(interface, []).append(face)
        self._applyPrefixes(self._options)

    def checkRoom(self) -> None:
        """
        @raise FlowError: where no further face is taken.
        """
        if not self._started:
            raise ShuttingDown("the forwarder is shutting down")
        most = self.table.most(False)
        if len(self.table) >= most:
            self.table.refused += 1
            raise Overloaded(f"{most} faces are open: no more are taken")

    def retry(self) -> None:
        """
        Faces that wait to open their links do so now.
        """
        for face in self.table:
            if isinstance(face, DialedFace):
                face.retry()

    def status(self) -> dict[str, Any]:
        """
        What there is to tell, as plain values.
        """
        return {
            "faces": len(self.table),
            "store": self._store(),
            **self.neighbourhood.status(),
        }

    def counts(self) -> dict[str, Any]:
        """
        What metrics are made of, as plain values: all that was counted since the start, and how much there is now.
        """
        forwarder, counters = self.forwarder, self.forwarder.counters
        store, admission = forwarder.cs, forwarder.admission
        return {
            "faces": self.tally.groups(),
            "facesRefused": self.table.refused,
            "interests": {"satisfied": counters.satisfied, "unsatisfied": counters.unsatisfied},
            "notForwarded": counters.reasons(),
            "pit": {
                "entries": len(forwarder.pit),
                "bytes": forwarder.pit.charge,
                "refused": admission.refused,
                "evicted": admission.evicted,
            },
            "fib": len(forwarder.fib),
            "store": {**self._store(), "evicted": int(getattr(store, "evicted", 0))},
            "strategies": forwarder.strategies.numbers(),
        }

    def _store(self) -> dict[str, int]:
        store = self.forwarder.cs
        return {"packets": len(store), "bytes": store.heldBytes, "hits": store.hits, "misses": store.misses}

    def stop(self) -> None:
        """
        Close every face.
        """
        if not self._started:
            return
        self._started = False
        self.neighbourhood.stop()
        self.management.stop()
        self.table.closeAll()
        self.forwarder.stop()
