"""
A node with a gateway, and producers at it, in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.commons import Commons
from hermes.interfaces import IAssistant, IAssistantContext
from hermes.messages import Request, RequestRecord, Response, textResponse
from hermes.ndn.app.publisher import BytesSource, ObjectPublisher, SegmentedObject
from hermes.ndn.gateway.gateway import Gateway
from hermes.ndn.gateway.options import GatewayOptions
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import InterestView, peekData
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.security.signers import DigestSigner
from hermes.test.assist.cache.fakes import Answered, Reader
from hermes.test.ndn.management.nodes import App, Node
from hermes.test.ndn.security.keys import NOW
from hermes.values import Flow, Headers, Identity, RequestHead, Target

Options: Any = GatewayOptions


class Producer(App):
    """
    A program that answers Interests.

    @ivar handlers: each is given all of them.
    @ivar silent: whether it answers nothing.
    @ivar times: how often it was asked for which name.
    """

    def __init__(self, node: Node, *prefixes: str) -> None:
        self.handlers: list[Callable[[InterestView, Callable[[bytes], None]], None]] = []
        self.silent = False
        self.times: dict[str, int] = {}
        super().__init__(node)
        for prefix in prefixes:
            self.command("rib/register", name=Name.fromText(prefix))

    def sendInterest(self, view: InterestView, pitToken: bytes | None = None, incomingFace: int | None = None) -> None:
        super().sendInterest(view, pitToken, incomingFace)
        name = str(Name.fromValue(view.name))
        self.times[name] = self.times.get(name, 0) + 1
        if not self.silent:
            for handler in self.handlers:
                handler(view, self.reply)

    def reply(self, wire: bytes) -> None:
        """
        Send Data.
        """
        self.node.clock.callLater(0.01, self._reply, wire)

    def _reply(self, wire: bytes) -> None:
        if self.up:
            self.node.forwarder.receiveData(self, peekData(wire))

    def have(self, wire: bytes) -> None:
        """
        Have a packet.
        """
        name = peekData(wire).name
        self.handlers.append(lambda view, reply: reply(wire) if view.name == name else None)

    def publish(
        self, name: str, data: bytes, version: int | None = 7, segmentSize: int = 100, signer: Signer | None = None
    ) -> SegmentedObject:
        """
        Have an object, with metadata where it has a version.
        """
        signer = DigestSigner() if signer is None else signer
        plain = Name.fromText(name)
        prefix = plain if version is None else plain + Name.fromText(f"/v={version}")
        made = SegmentedObject(prefix, BytesSource(data), signer, segmentSize)
        if version is None:
            self.handlers.append(lambda view, reply: _segments(made, view, reply))
        else:
            self.handlers.append(ObjectPublisher(plain, made, signer, lambda: NOW).answer)
        return made


def _segments(made: SegmentedObject, view: InterestView, reply: Callable[[bytes], None]) -> None:
    for index in range(made.count):
        wire = made.data(index)
        assert wire is not None
        name = peekData(wire).name
        if view.name == name or (view.canBePrefix and name.startswith(view.name)):
            reply(wire)
            return


@implementer(IAssistantContext)
@define(eq=False)
class Context:
    """
    What a gateway stands on.
    """

    reactor: Any
    nodeName: str = "edge"
    authenticator: Any = None
    registry: Any = None
    commons: Any = field(factory=Commons)


class GatewayCase(SynchronousTestCase):
    """
    A gateway, and a producer of what is under C{/a}.
    """

    def setUp(self) -> None:
        clock = Clock()
        clock.advance(NOW)
        self.node = Node("edge", clock)
        self.context = Context(clock)
        self.service = SimpleNamespace(table=self.node.faces, forwarder=self.node.forwarder)
        self.context.commons.offer("ndn", "names", self.service)
        self.producer = Producer(self.node, "/a")
        self.gateway = self.make()
        self.behind: list[Request] = []

    def tearDown(self) -> None:
        self.successResultOf(self.gateway.close())
        self.producer.up = False
        self.node.stop()
        self.node.clock.advance(1)
        self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def make(self, **options: Any) -> Gateway:
        """
        A gateway.
        """
        return Gateway("gate", Options(forwarder="names", **options), self.context)

    def passed(self, request: Request) -> Deferred[Response]:
        """
        What is behind the gateway answers.
        """
        self.behind.append(request)
        deferred: Deferred[Response] = Deferred()
        deferred.callback(textResponse(200, "behind\n"))
        return deferred

    def request(self, path: str, method: bytes = b"GET", host: bytes = b"edge.example", **fields: str) -> Request:
        """
        A request.
        """
        headers: Headers = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in fields.items())
        head = RequestHead(method, b"http", host, path.encode(), None, headers)
        flow = Flow("http", Target("edge.example", 80), ("192.0.2.1", 1234), Identity(), "web")
        return Request(head, flow, RequestRecord(flow, head, "1.1", self.node.clock.seconds()))

    def ask(self, path: str, assistant: IAssistant | None = None, **options: Any) -> Deferred[Response]:
        """
        Ask for something.
        """
        return (assistant or self.gateway).assist(self.request(path, **options), self.passed)

    def run_(self, seconds: float = 5.0, step: float = 0.005) -> None:
        """
        Let time pass.
        """
        self.node.clock.pump([step] * int(seconds / step))

    def get(self, path: str, **options: Any) -> Answered:
        """
        Ask for something, and read it to its end.
        """
        asked = self.ask(path, **options)
        found: list[Any] = []
        asked.addBoth(found.append)
        for _ in range(4000):
            if found:
                break
            self.node.clock.advance(0.005)
        response = found[0]
        if isinstance(response, Failure):
            response.raiseException()
        reader = None if response.body is None else Reader(response.body).start()
        for _ in range(4000):
            if reader is None or reader.over:
                break
            self.node.clock.advance(0.005)
        return Answered(response, RequestRecord(None, None, "1.1", 0.0), reader)  # type: ignore[arg-type]
