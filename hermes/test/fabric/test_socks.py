"""
SOCKS5 clients get flows.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.errors import (
    FlowError,
    HopRefused,
    NameNotFound,
    NoRoute,
    TargetProhibited,
    TargetRefused,
    TargetUnreachable,
)
from hermes.fabric.socks import DIAL_TIME, REQUEST_TIME, SOCKSProtocol
from hermes.test.fabric.fakenetwork import FakeContext
from hermes.test.fabric.fakes import FakeFlows, FakeStream
from hermes.users import Users, UserSecret
from hermes.values import Flow, Identity, Target
from hermes.wire.socks import (
    COMMAND_BIND,
    COMMAND_CONNECT,
    COMMAND_UDP_ASSOCIATE,
    REPLY_ADDRESS_NOT_SUPPORTED,
    REPLY_COMMAND_NOT_SUPPORTED,
    REPLY_FAILURE,
    REPLY_HOST_UNREACHABLE,
    REPLY_NETWORK_UNREACHABLE,
    REPLY_NOT_ALLOWED,
    REPLY_REFUSED,
    REPLY_TTL_EXPIRED,
    SocksReply,
    SocksRequest,
    datagramHeader,
    writePassword,
    writeReply,
    writeRequest,
)

NO_AUTHENTICATION = b"\x05\x01\x00"
BOTH = b"\x05\x02\x00\x02"
CONNECT = writeRequest(SocksRequest(COMMAND_CONNECT, "db.hermes", 3306))
ASSOCIATE = writeRequest(SocksRequest(COMMAND_UDP_ASSOCIATE, "0.0.0.0", 0))
SUCCEEDED = writeReply(SocksReply(0))


class Near(Protocol):
    """
    Stands for the near end of a flow.
    """

    def __init__(self) -> None:
        self.data = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class SOCKSTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.context = FakeContext()
        self.flows: FakeFlows = self.context.flows
        self.context.authenticator = Users({"alice": UserSecret(password="secret")})
        self.connect()

    def connect(self, anonymous: bool = True, **attributes: Any) -> None:
        self.transport = FakeStream(self.context.reactor)
        for name, value in attributes.items():
            setattr(self.transport, name, value)
        self.protocol = SOCKSProtocol(self.context, "apps", anonymous)
        self.transport.attach(self.protocol)

    def assertAnswered(self, *messages: bytes) -> None:
        self.assertEqual(bytes(self.transport.taken), b"".join(messages))

    def test_itIsAProtocol(self) -> None:
        verifyObject(IProtocol, self.protocol)

    # CONNECT

    def test_connectIsAFlowAndItsProtocolTakesOver(self) -> None:
        self.transport.deliver(NO_AUTHENTICATION)
        self.transport.deliver(CONNECT)
        flow, opening = self.flows.asked[0]
        self.assertEqual(flow, Flow("tcp", Target("db.hermes", 3306), ("127.0.0.1", 50000), listener="apps"))
        self.assertAnswered(b"\x05\x00")
        opening.callback(near := Near())
        self.assertAnswered(b"\x05\x00", SUCCEEDED)
        self.transport.deliver(b"hello")
        self.assertEqual(near.data, b"hello")
        self.context.reactor.advance(1000)
        self.assertEqual(self.transport.calls, [])

    def test_aFlowMayBeUpAtOnce(self) -> None:
        class Immediately(FakeFlows):
            def openStream(self, flow: Flow) -> Deferred[Any]:
                if flow.target.port == 1:
                    return fail(NoRoute("no"))
                return succeed(Near())

        self.context.flows = Immediately()
        self.connect()
        self.transport.deliver(NO_AUTHENTICATION + CONNECT)
        self.assertAnswered(b"\x05\x00", SUCCEEDED)
        self.connect()
        self.transport.deliver(NO_AUTHENTICATION + writeRequest(SocksRequest(COMMAND_CONNECT, "a", 1)))
        self.assertAnswered(b"\x05\x00", writeReply(SocksReply(REPLY_NOT_ALLOWED)))
        self.context.reactor.advance(1000)
        self.assertEqual(self.transport.calls, ["loseConnection"])

    def test_anythingMayComeInOnePieceOrByteByByte(self) -> None:
        whole = BOTH + writePassword("alice", "secret") + CONNECT + b"hello"
        for pieces in ([whole], [bytes([byte]) for byte in whole]):
            self.connect()
            for piece in pieces:
                self.transport.deliver(piece)
            self.flows.asked[-1][1].callback(near := Near())
            self.assertAnswered(b"\x05\x02", b"\x01\x00", SUCCEEDED)
            self.assertEqual(near.data, b"hello")

    def test_whatComesBeforeTheFlowIsUpIsBounded(self) -> None:
        self.transport.deliver(NO_AUTHENTICATION + CONNECT + bytes(16384))
        self.assertTrue(self.transport.reading)
        self.transport.deliver(b"x")
        self.assertFalse(self.transport.reading)
        self.flows.asked[0][1].callback(near := Near())
        self.assertEqual((len(near.data), self.transport.reading), (16385, True))

    def test_aClientThatGoesAwayCancelsItsFlow(self) -> None:
        self.transport.deliver(NO_AUTHENTICATION + CONNECT)
        self.transport.fail(ConnectionLost())
        self.assertEqual((self.flows.cancelled, self.context.reactor.getDelayedCalls()), (1, []))

    def test_aFlowThatComesUpForNobodyIsEnded(self) -> None:
        self.transport.deliver(NO_AUTHENTICATION + CONNECT)
        near = Near()
        self.flows.asked[0][1]._canceller = lambda asked: asked.callback(near)
        self.transport.fail(ConnectionLost())
        self.assertIsNotNone(near.lost)

    def test_eachFailureHasItsReply(self) -> None:
        for error, reply in (
            (NoRoute(""), REPLY_NOT_ALLOWED),
            (TargetProhibited(""), REPLY_NOT_ALLOWED),
            (NameNotFound(""), REPLY_HOST_UNREACHABLE),
            (TargetUnreachable(""), REPLY_NETWORK_UNREACHABLE),
            (TargetRefused(""), REPLY_REFUSED),
            (HopRefused("", 403), REPLY_NOT_ALLOWED),
            (HopRefused("", 502, b"exit;error=connection_refused", "connection_refused"), REPLY_REFUSED),
            (FlowError(""), REPLY_FAILURE),
        ):
            self.connect()
            self.transport.deliver(NO_AUTHENTICATION + CONNECT)
            self.flows.asked[-1][1].errback(error)
            self.assertAnswered(b"\x05\x00", writeReply(SocksReply(reply)))
            self.assertEqual(self.transport.calls, ["loseConnection"])

    def test_aMistakeOfOursIsLoggedAndTheClientHearsOfAFailure(self) -> None:
        self.transport.deliver(NO_AUTHENTICATION + CONNECT)
        self.flows.asked[0][1].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertAnswered(b"\x05\x00", writeReply(SocksReply(REPLY_FAILURE)))

    def test_aFlowThatTakesTooLongIsGivenUp(self) -> None:
        self.transport.deliver(NO_AUTHENTICATION + CONNECT)
        self.context.reactor.advance(DIAL_TIME)
        self.assertEqual(self.flows.cancelled, 1)
        self.assertAnswered(b"\x05\x00", writeReply(SocksReply(REPLY_TTL_EXPIRED)))
        self.assertEqual(self.transport.calls, ["loseConnection"])

    # Who asks

    def test_anOfferedPasswordIsAskedForAndNamesTheUser(self) -> None:
        self.transport.deliver(BOTH + writePassword("alice", "secret") + CONNECT)
        self.assertEqual(self.flows.asked[0][0].identity, Identity(user="alice"))

    def test_aWrongPasswordIsRefused(self) -> None:
        self.transport.deliver(BOTH + writePassword("alice", "wrong") + CONNECT)
        self.assertAnswered(b"\x05\x02", b"\x01\x01")
        self.assertEqual((self.flows.asked, self.transport.calls), ([], ["loseConnection"]))

    def test_whereNobodyAnonymousIsTakenAPasswordHasToBeOffered(self) -> None:
        users = {"alice": UserSecret(password="secret")}
        for anonymous, required in ((False, False), (True, True)):
            self.context.authenticator = Users(users, required)
            self.connect(anonymous=anonymous)
            self.transport.deliver(NO_AUTHENTICATION + CONNECT)
            self.assertAnswered(b"\x05\xff")
            self.assertEqual((self.flows.asked, self.transport.calls), ([], ["loseConnection"]))

    def test_aCertificateIsANameToo(self) -> None:
        node = Identity(node="edge")
        self.connect(anonymous=False, identity=node)
        self.transport.deliver(NO_AUTHENTICATION + CONNECT)
        self.assertEqual(self.flows.asked[0][0].identity, node)
        self.connect(anonymous=False, identity=node)
        self.transport.deliver(BOTH + writePassword("alice", "secret") + CONNECT)
        self.assertEqual(self.flows.asked[1][0].identity, Identity("edge", "alice"))

    # What is refused

    def test_whoDawdlesIsAborted(self) -> None:
        self.transport.deliver(NO_AUTHENTICATION)
        self.context.reactor.advance(REQUEST_TIME)
        self.assertEqual(self.transport.calls, ["abortConnection"])

    def test_whatIsNoSOCKSIsClosed(self) -> None:
        for start in (b"\x06", NO_AUTHENTICATION + b"\x04", BOTH + b"\x05", BOTH + b"\x01\x01\xff\x01a"):
            self.connect()
            self.transport.deliver(start)
            self.assertEqual(self.transport.calls, ["loseConnection"])
            self.context.reactor.advance(REQUEST_TIME)
        self.assertEqual(self.flows.asked, [])

    def test_whatWeDontDoIsSaid(self) -> None:
        for request, reply in (
            (writeRequest(SocksRequest(COMMAND_BIND, "192.0.2.1", 1)), REPLY_COMMAND_NOT_SUPPORTED),
            (writeRequest(SocksRequest(9, "192.0.2.1", 1)), REPLY_COMMAND_NOT_SUPPORTED),
            (writeRequest(SocksRequest(COMMAND_CONNECT, "192.0.2.1", 0)), REPLY_FAILURE),
            (b"\x05\x01\x00\x07\x00\x00", REPLY_ADDRESS_NOT_SUPPORTED),
        ):
            self.connect()
            self.transport.deliver(NO_AUTHENTICATION + request)
            self.assertAnswered(b"\x05\x00", writeReply(SocksReply(reply)))
            self.assertEqual(self.transport.calls, ["loseConnection"])

    # UDP ASSOCIATE

    def test_anAssociationRelaysUntilItsConnectionEnds(self) -> None:
        self.transport.deliver(NO_AUTHENTICATION + ASSOCIATE)
        self.assertAnswered(b"\x05\x00", writeReply(SocksReply(0, "127.0.0.1", 5353)))
        socket = self.context.network.sockets["127.0.0.1:0"]
        socket.deliver(("127.0.0.1", 9), datagramHeader("dns.hermes", 53) + b"?")
        flow = Flow("udp", Target("dns.hermes", 53), ("127.0.0.1", 50000), listener="apps")
        self.assertEqual(self.flows.asked[0][0], flow)
        self.transport.deliver(b"ignored")
        self.transport.fail(ConnectionLost())
        self.assertEqual((socket.stopped, self.flows.cancelled), (True, 1))
        self.assertEqual(self.context.reactor.getDelayedCalls(), [])

    def test_aClientThatNamesItsPortIsHeldToIt(self) -> None:
        self.transport.deliver(NO_AUTHENTICATION + writeRequest(SocksRequest(COMMAND_UDP_ASSOCIATE, "127.0.0.1", 4000)))
        socket = self.context.network.sockets["127.0.0.1:0"]
        socket.deliver(("127.0.0.1", 4001), datagramHeader("dns.hermes", 53) + b"?")
        self.assertEqual(self.flows.asked, [])
        socket.deliver(("127.0.0.1", 4000), datagramHeader("dns.hermes", 53) + b"?")
        self.assertEqual(len(self.flows.asked), 1)

    def test_theSocketIsOnTheAddressThatTheClientReached(self) -> None:
        self.connect(host=IPv6Address("TCP", "::1", 1080), peer=IPv6Address("TCP", "::1", 4000))
        self.transport.deliver(NO_AUTHENTICATION + ASSOCIATE)
        self.assertIn("[::1]:0", self.context.network.sockets)
        self.connect(host=IPv6Address("TCP", "::ffff:127.0.0.1", 1080), peer=IPv6Address("TCP", "::ffff:127.0.0.1", 4))
        self.transport.deliver(NO_AUTHENTICATION + ASSOCIATE)
        self.context.network.sockets["127.0.0.1:0"].deliver(("127.0.0.1", 9), datagramHeader("dns.hermes", 53))
        self.assertEqual(len(self.flows.asked), 1)

    def test_thereIsNoAssociationOnAUnixSocket(self) -> None:
        self.connect(host=UNIXAddress("/x"), peer=UNIXAddress(None))
        self.transport.deliver(NO_AUTHENTICATION + ASSOCIATE)
        self.assertAnswered(b"\x05\x00", writeReply(SocksReply(REPLY_COMMAND_NOT_SUPPORTED)))

    def test_aSocketThatCantBeBoundIsAFailure(self) -> None:
        self.context.network.bindError = OSError("no more")
        self.transport.deliver(NO_AUTHENTICATION + ASSOCIATE)
        self.assertAnswered(b"\x05\x00", writeReply(SocksReply(REPLY_FAILURE)))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
