"""
Several forwarders, joined in memory, with links that lose and delay: whatever happens, in whatever order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.forwarder.contentstore import ContentStore
from hermes.ndn.forwarder.forwarder import Forwarder
from hermes.ndn.forwarder.pitentry import OUT_COST
from hermes.ndn.packet.name import Name
from hermes.test.ndn.forwarder.forwarding import data, interest, value
from hermes.test.ndn.forwarder.network import LinkFace, Node, freshness

NODES = 4
EDGES = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)]
STRATEGIES = ["best-route", "multicast", "asf/probing-interval~1000"]
PIT_CAPACITY = 12_000
STORE_CAPACITY = 3_000

NAMES = st.builds(
    lambda producer, parts: f"/p{producer}" + "".join(parts),
    st.integers(0, NODES - 1),
    st.lists(st.sampled_from(["/a", "/b"]), max_size=2),
)
NODE = st.integers(0, NODES - 1)
EDGE = st.sampled_from(range(len(EDGES)))


class NetworkMachine(RuleBasedStateMachine):
    """
    What must hold: no Data goes where it was not asked for, or after its time; no Interest passes a forwarder twice;
    tables stay within their bounds, their books balance, and in the end they are empty.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.clock.advance(1000)
        self.nodes: list[Node] = []
        self.links: list[tuple[LinkFace, LinkFace]] = []
        self.ids = iter(range(256, 1_000_000))
        self.nonces = iter(range(1, 1_000_000))

    @initialize(strategies=st.lists(st.sampled_from(STRATEGIES), min_size=NODES, max_size=NODES))
    def begin(self, strategies: list[str]) -> None:
        for number, strategy in enumerate(strategies):
            forwarder = Forwarder(
                self.clock,
                ContentStore(self.clock, STORE_CAPACITY),
                pitCapacity=PIT_CAPACITY,
                strategy=strategy,
                random=Random(number),
            )
            consumer = LinkFace(self, number, next(self.ids), local=True)
            producer = LinkFace(self, number, next(self.ids), local=True)
            self.nodes.append(Node(number, forwarder, consumer, producer))
            forwarder.addFace(consumer)
            forwarder.addFace(producer)
            forwarder.setNextHop(value(f"/p{number}"), producer.id, 0)
        for edge in range(len(EDGES)):
            self.links.append(self.connect(edge))

    def connect(self, edge: int) -> tuple[LinkFace, LinkFace]:
        """
        A link, and every prefix over it, both ways: nothing but the Nonces prevents loops.
        """
        first, second = EDGES[edge]
        ends = LinkFace(self, first, next(self.ids)), LinkFace(self, second, next(self.ids))
        ends[0].peer, ends[1].peer = ends[1], ends[0]
        for end, other in zip(ends, (second, first), strict=True):
            forwarder = self.nodes[end.node].forwarder
            forwarder.addFace(end)
            for producer in range(NODES):
                if producer != end.node:
                    forwarder.setNextHop(value(f"/p{producer}"), end.id, 1 if other == producer else 10)
        return ends

    def faces(self) -> Iterator[LinkFace]:
        """
        The ends of links that something is on its way to.
        """
        for ends in self.links:
            for end in ends:
                if end.arriving:
                    yield end

    @rule(
        node=NODE,
        name=NAMES,
        canBePrefix=st.booleans(),
        mustBeFresh=st.booleans(),
        lifetime=st.sampled_from([200, 1000, 4000]),
        hopLimit=st.sampled_from([None, None, None, 2, 10]),
    )
    def express(
        self, node: int, name: str, canBePrefix: bool, mustBeFresh: bool, lifetime: int, hopLimit: int | None
    ) -> None:
        view = interest(
            name,
            nonce=next(self.nonces),
            canBePrefix=canBePrefix,
            mustBeFresh=mustBeFresh,
            lifetime=lifetime,
            hopLimit=hopLimit,
        )
        token = f"{name} {canBePrefix} {mustBeFresh}".encode()[:32]
        self.nodes[node].consumer.ask(view, token, ())

    @rule(node=NODE, index=st.integers(0, 100), what=st.sampled_from(["data", "data", "longer", "nack"]))
    def answer(self, node: int, index: int, what: str) -> None:
        face = self.nodes[node].producer
        if not face.asked:
            return
        view = face.asked.pop(index % len(face.asked))
        name = str(Name.fromValue(view.name))
        forwarder = self.nodes[node].forwarder
        if what == "nack":
            forwarder.receiveNack(face, 150, view)
        else:
            full = name + "/longer" if what == "longer" else name
            self.nodes[node].receiveData(face, data(full, freshness(value(full))))

    @rule(answers=st.booleans())
    def goOn(self, answers: bool) -> None:
        """
        Nothing is lost, and applications answer, until all is quiet.
        """
        for _ in range(1000):
            for face in list(self.faces()):
                face.deliver(0)
            for node in self.nodes:
                if answers and node.producer.asked:
                    self.answer(node.number, 0, "data")
            if not any(self.faces()):
                break
        else:
            raise AssertionError("it is never quiet")

    @rule(node=NODE, name=NAMES)
    def volunteer(self, node: int, name: str) -> None:
        """
        Data that nobody may have asked for.
        """
        self.nodes[node].receiveData(self.nodes[node].producer, data(name, freshness(value(name))))

    @precondition(lambda self: any(self.faces()))
    @rule(which=st.integers(0, 100), index=st.integers(0, 100), count=st.integers(1, 8))
    def deliver(self, which: int, index: int, count: int) -> None:
        for _ in range(count):
            faces = list(self.faces())
            if faces:
                faces[which % len(faces)].deliver(index)

    @precondition(lambda self: any(self.faces()))
    @rule(which=st.integers(0, 100), index=st.integers(0, 100))
    def lose(self, which: int, index: int) -> None:
        faces = list(self.faces())
        face = faces[which % len(faces)]
        face.arriving.pop(index % len(face.arriving))

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.3, 1.5, 5.0]))
    def wait(self, seconds: float) -> None:
        self.clock.pump([seconds / 4] * 4)

    @rule(edge=EDGE)
    def replaceLink(self, edge: int) -> None:
        """
        A link goes, with all that is on its way, and another comes.
        """
        for end in self.links[edge]:
            end.close()
        self.links[edge] = self.connect(edge)

    @rule(node=NODE, edge=EDGE, up=st.booleans())
    def flap(self, node: int, edge: int, up: bool) -> None:
        for end in self.links[edge]:
            forwarder = self.nodes[end.node].forwarder
            (forwarder.faceUp if up else forwarder.faceDown)(end)

    @rule(node=NODE, strategy=st.sampled_from(STRATEGIES), producer=NODE)
    def choose(self, node: int, strategy: str, producer: int) -> None:
        strategies = self.nodes[node].forwarder.strategies
        strategies.set(value(f"/p{producer}"), strategies.named(strategy))

    @invariant()
    def booksBalance(self) -> None:
        for node in self.nodes:
            forwarder = node.forwarder
            ports = list(forwarder._ports.values())
            charges: dict[int, int] = defaultdict(int)
            for entry in forwarder.pit:
                assert entry.ins or entry.kept
                assert entry.slot is not None and entry in entry.slot
                for record in entry.ins:
                    assert record.port.attached and record.port.pending[entry] is record
                    charges[record.port.id] += record.cost
            for port in ports:
                assert port.charge == charges[port.id]
            assert forwarder.pit.charge == sum(charges.values())
            # Room is made when an Interest comes, before it is known to how many faces it goes.
            assert forwarder.pit.charge <= PIT_CAPACITY + len(ports) * OUT_COST
            assert sum(len(port.pending) for port in ports) == sum(len(entry.ins) for entry in forwarder.pit)
            assert forwarder.cs.heldBytes <= STORE_CAPACITY

    def teardown(self) -> None:
        # Lifetimes are four seconds at most, but an estimate of the round trip may have grown to a minute.
        self.clock.pump([1] * 70)
        for node in self.nodes:
            forwarder = node.forwarder
            assert (len(forwarder.pit), forwarder.pit.charge) == (0, 0)
            assert (len(forwarder._wheel), len(forwarder._timers)) == (0, 0)
            forwarder.cs.erase(b"")
            assert (len(forwarder.cs), forwarder.cs.heldBytes) == (0, 0)
            for face in list(forwarder.faces()):
                face.close()
            assert len(forwarder.fib) == 0
        assert self.clock.getDelayedCalls() == []


class NetworkTests(SynchronousTestCase):
    """
    L{NetworkMachine} with whatever hypothesis thinks of.
    """

    def test_whateverHappens(self) -> None:
        run_state_machine_as_test(
            NetworkMachine, settings=settings(max_examples=100, stateful_step_count=60, deadline=None)
        )
