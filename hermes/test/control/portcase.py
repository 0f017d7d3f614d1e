"""
What tests of controllers and nodes stand on: both in this process, connected in memory, with TLS.
"""

from __future__ import annotations

from time import time
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.agent.files import Files
from hermes.control.channel.backoff import Backoff
from hermes.control.channel.client import ControllerClient
from hermes.control.channel.counts import Refusals
from hermes.control.channel.links import NodeLink
from hermes.control.enrolment.authority import CONTROLLER_NAME
from hermes.control.enrolment.identity import NodeIdentity
from hermes.control.enrolment.requests import keyText, makeKey
from hermes.control.enrolment.tokens import Token
from hermes.control.membership import Membership
from hermes.control.port import NodePort
from hermes.control.values import NodeEntry
from hermes.nested import NestedTLSEndpoint
from hermes.net.certificates import ClientCredentials
from hermes.test.control.channel.agents import RecordingAgent
from hermes.test.control.channel.wires import WireEndpoint, Wires
from hermes.testing.control.store import MemoryStore

CONTROLLER = "controller.example:7700"


class Listening:
    """
    A server endpoint in memory.
    """

    def __init__(self, wires: Wires, address: str) -> None:
        self.wires = wires
        self.address = address

    def listen(self, factory: Any) -> Deferred[Listening]:
        self.wires.listening[self.address] = factory
        return succeed(self)

    def stopListening(self) -> None:
        self.wires.listening.pop(self.address, None)


class PortCase(SynchronousTestCase):
    """
    A controller, with a store in memory.

    @ivar epoch: what time it is when the test begins, in seconds since the epoch.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        # OpenSSL knows the true time only.
        self.epoch = time()
        self.wires = Wires(self.clock)
        self.store = MemoryStore(self.clock, latency=0.0)
        self.port = self.makePort()
        self.addCleanup(self.end)
        self.members: list[Membership | ControllerClient] = []

    def seconds(self) -> float:
        """
        The time, since the epoch.
        """
        return self.epoch + self.clock.seconds()

    def makePort(self, address: str = CONTROLLER, **options: Any) -> NodePort:
        """
        A controller that listens.
        """
        port = NodePort(self.clock, self.seconds, self.store, Files(self.mktemp()), **options)
        opened = port.open()
        self.wires.flush()
        self.successResultOf(opened)
        endpoint: Any = Listening(self.wires, address)
        self.successResultOf(port.listen(endpoint))
        return port

    def end(self) -> None:
        """
        Nothing is left.
        """
        self.wires.flush()
        for each in self.members:
            each.stop()
        self.port.stop()
        self.wires.advance(120.0, 10.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def wait(self, deferred: Deferred[Any]) -> Any:
        """
        What it fires with, once all that moves has arrived.
        """
        self.wires.flush()
        return self.successResultOf(deferred)

    def fails(self, deferred: Deferred[Any], *errors: type[BaseException]) -> BaseException:
        """
        What it fails with, likewise.
        """
        self.wires.flush()
        failure: Failure = self.failureResultOf(deferred, *errors)
        assert failure.value is not None
        return failure.value

    # Nodes

    def connect(self, address: str, credentials: Any, source: str = "192.0.2.1") -> Any:
        """
        An endpoint with TLS.
        """
        return NestedTLSEndpoint(WireEndpoint(self.wires, address, source), credentials, self.clock)

    def credentials(self, node: str, protocol: bytes = b"hermes-control/1", enrolled: bool = True) -> ClientCredentials:
        """
        Those of a node with a certificate.

        @param enrolled: whether the controller knows of it.
        """
        key = makeKey()
        authority = self.port.registrar.authority
        issued = authority.node(node, key.public_key(), 90.0)
        if enrolled:
            self.wait(self.store.putNode(NodeEntry(node, issued.serial, self.seconds(), issued.expires)))
        files = Files(self.mktemp())
        files.create()
        files.write("node.pem", issued.text.encode())
        files.write("node.key", keyText(key))
        files.write("trust.pem", authority.trust.encode())
        return ClientCredentials(
            files.path("node.pem"),
            files.path("node.key"),
            files.path("trust.pem"),
            serverName=CONTROLLER_NAME,
            protocols=(protocol,),
        )

    def client(self, agent: RecordingAgent, *addresses: str, **options: Any) -> ControllerClient:
        """
        Keeps an agent connected.
        """
        credentials = self.credentials(agent.name, enrolled=options.pop("enrolled", True))
        client = ControllerClient(
            self.clock,
            agent,
            addresses or (CONTROLLER,),
            lambda address: self.connect(address, credentials),
            Refusals(),
            backoff=Backoff(chance=lambda: 1.0),
            **options,
        )
        self.members.append(client)
        client.start()
        self.wires.flush()
        return client

    def connected(self, name: str = "edge") -> tuple[NodeLink, RecordingAgent]:
        """
        A node that is connected: the controller's end, and the node's.
        """
        agent = RecordingAgent(name)
        self.client(agent)
        link = self.port.links.get(name)
        assert link is not None
        return link, agent

    def member(self, token: str | None, **options: Any) -> tuple[Membership, list[RecordingAgent]]:
        """
        A node that joins, if it has not, and stays connected.
        """
        agents: list[RecordingAgent] = []

        def makeAgent(identity: NodeIdentity) -> Deferred[Any]:
            agents.append(RecordingAgent(identity.node))
            return succeed(agents[0])

        files = options.pop("files", None) or Files(self.mktemp())
        member = Membership(
            self.clock,
            self.seconds,
            files,
            options.pop("addresses", [CONTROLLER]),
            self.connect,
            makeAgent,
            token=None if token is None else Token.fromText(token),
            backoff=lambda: Backoff(chance=lambda: 1.0),
            **options,
        )
        self.members.append(member)
        return member, agents
