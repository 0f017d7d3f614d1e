from __future__ import annotations

from typing import Any

from attrs import define, evolve, field
from twisted.internet.interfaces import IProtocolFactory
from zope.interface.verify import verifyObject

from hermes.errors import BadRequest, NotImplementedHere, TargetProhibited
from hermes.http import origins
from hermes.http.origins import Origins
from hermes.interfaces import IRequestSender
from hermes.test.http.upstreams import EMPTY, FLOW, GET, MemoryCarrier, UpstreamCase, aRequest
from hermes.values import RequestHead, Target


@define(eq=False)
class Secured:
    """
    TLS in name only.
    """

    endpoint: Any
    negotiated: bytes

    def connect(self, factory: IProtocolFactory) -> Any:
        return self.endpoint.connect(_Named(factory.buildProtocol(None), self.negotiated))  # type: ignore[arg-type]


@define(eq=False)
class _Named:
    inner: Any
    negotiated: bytes

    def buildProtocol(self, addr: object) -> Any:
        make = self.inner.makeConnection

        def makeConnection(transport: Any) -> None:
            transport.negotiatedProtocol = self.negotiated
            make(transport)

        self.inner.makeConnection = makeConnection
        return self.inner


@define(eq=False)
class Secure:
    asked: list[tuple[str, tuple[bytes, ...]]] = field(factory=list)

    def __call__(self, endpoint: Any, name: str, offered: tuple[bytes, ...]) -> Any:
        if name == "a_b..":
            raise BadRequest("no name")
        self.asked.append((name, offered))
        return Secured(endpoint, offered[-1])


class OriginsCase(UpstreamCase):
    def setUp(self) -> None:
        super().setUp()
        self.carrier = MemoryCarrier(self.network)
        self.secure = Secure()
        self.origins = Origins(self.carrier, self.clock, self.secure)

    def ask(self, target: str, head: RequestHead = GET) -> Any:
        sent = self.origins.send(aRequest(head, evolve(FLOW, target=Target.fromText(target))))
        self.clock.advance(0)
        return sent

    def answered(self, target: str, head: RequestHead = GET) -> None:
        sent = self.ask(target, head)
        self.answer(target)
        self.assertEqual(204, self.successResultOf(sent).head.status)

    def dialed(self) -> list[str]:
        return [str(flow.target) for flow in self.carrier.flows]


class InTheClear(OriginsCase):
    def test_itIsASender(self) -> None:
        verifyObject(IRequestSender, self.origins)

    def test_eachTargetHasConnectionsThatAreKept(self) -> None:
        for target in ("a:80", "b:80", "a:80", "a:81", "b:80"):
            self.answered(target)
        self.assertEqual(["a:80", "b:80", "a:81"], self.dialed())
        self.assertEqual([], self.secure.asked)

    def test_theDialersRulesHold(self) -> None:
        self.network.refusing["a:80"] = TargetProhibited("no")
        self.failureResultOf(self.ask("a:80"), TargetProhibited)

    def test_theOriginThatWasUsedLongestAgoMakesRoom(self) -> None:
        self.patch(origins, "MAX_ORIGINS", 2)
        for target in ("a:1", "b:1", "a:1", "c:1"):
            self.answered(target)
        self.assertEqual(
            {"a:1": False, "b:1": True, "c:1": False},
            {target: transport.writeClosed for target, transport in self.network.transports},
        )
        self.answered("b:1")
        self.assertEqual(["a:1", "b:1", "c:1", "b:1"], self.dialed())

    def test_whatIsUnderWayGoesOnWhereRoomIsMade(self) -> None:
        self.patch(origins, "MAX_ORIGINS", 1)
        sent = self.ask("a:1")
        self.answered("b:1")
        self.answer("a:1", EMPTY)
        self.successResultOf(sent)
        self.assertTrue(self.network.to("a:1")[0].writeClosed)


class OverTLS(OriginsCase):
    head = RequestHead(b"GET", b"https", b"a", b"/")

    def test_httpsIsNotHttp(self) -> None:
        self.answered("a:443", RequestHead(b"GET", b"http", b"a:443", b"/"))
        self.answered("a:443", self.head)
        self.answered("a:443", self.head)
        self.assertEqual(["a:443"] * 2, self.dialed())
        self.assertEqual([("a", (b"h2", b"http/1.1"))], self.secure.asked)

    def test_withoutTLSAndForOtherSchemesThereIsNone(self) -> None:
        self.failureResultOf(self.ask("a:1", evolve(self.head, scheme=b"ftp")), NotImplementedHere)
        self.origins = Origins(self.carrier, self.clock)
        self.failureResultOf(self.ask("a:1", self.head), NotImplementedHere)

    def test_aNameThatNoCertificateCouldHoldIsTheClientsMistake(self) -> None:
        self.failureResultOf(self.ask("a_b..:1", self.head), BadRequest)

    def test_whatOnlyHTTP11MayHaveIsAskedForInIt(self) -> None:
        head = RequestHead(b"CONNECT", b"https", b"a", b"/", b"websocket")
        self.ask("a:443", head)
        self.assertEqual([("a", (b"h2", b"http/1.1")), ("a", (b"http/1.1",))], self.secure.asked)
