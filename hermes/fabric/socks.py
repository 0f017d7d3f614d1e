"""
SOCKS5 (RFC 1928), the server's side: CONNECT and UDP ASSOCIATE as flows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IProtocol, ITransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import FlowError, TargetTimeout
from hermes.fabric.association import UDPAssociation
from hermes.interfaces import IFlowHandler, IListenerContext
from hermes.proxied import addressOf, handOver, sourceOf
from hermes.values import ANONYMOUS, Address, Flow, Identity, Target
from hermes.wire.errors import MalformedError
from hermes.wire.socks import (
    COMMAND_CONNECT,
    COMMAND_UDP_ASSOCIATE,
    METHOD_NONE,
    METHOD_PASSWORD,
    METHOD_UNACCEPTABLE,
    REPLY_COMMAND_NOT_SUPPORTED,
    REPLY_FAILURE,
    REPLY_SUCCEEDED,
    SocksError,
    SocksReply,
    SocksRequest,
    parseGreeting,
    parsePassword,
    parseRequest,
    replyFor,
    writeMethod,
    writePasswordReply,
    writeReply,
)

REQUEST_TIME: Final = 10.0
"""
Seconds from the start of a connection to the end of its request.
"""

DIAL_TIME: Final = 60.0
"""
Seconds to open a flow.
"""

MAX_EARLY_BYTES: Final = 16 * 1024
"""
Once this many bytes came before the flow was open, nothing more is read.
"""


@implementer(IProtocol)
class SOCKSProtocol:
    """
    One client. It is asked for a name and a password where it offers them, because routes may depend on who asks; where
    nobody anonymous is taken, it has to offer them.

    @ivar transport: an L{hermes.interfaces.IAttachable} whose protocol can be replaced: that of the flow takes over.
    """

    log = Logger()

    def __init__(
        self, context: IListenerContext, listener: str, anonymous: bool, flows: IFlowHandler | None = None
    ) -> None:
        """
        @param listener: the listener's name.
        @param anonymous: whether somebody without a name is taken, unless the authenticator requires one.
        @param flows: opens the flows; the context's where there are no others.
        """
        self._context = context
        self._flows = flows or context.flows
        self._clock = context.reactor
        self._listener = listener
        self._anonymous = anonymous and not context.authenticator.required
        self._identity: Identity = ANONYMOUS
        self._source: Address | None = None
        self._buffer = b""
        # What reads the next message; L{None} once the request is read, or the connection is refused.
        self._step: Callable[[], bool] | None = self._readGreeting
        self._timer: IDelayedCall | None = None
        self._opening: Deferred[Any] | None = None
        self._association: UDPAssociation | None = None
        self._lost: Failure | None = None
        self.transport: Any = None

    def makeConnection(self, transport: ITransport) -> None:
        self.transport = transport
        self._identity = getattr(transport, "identity", None) or ANONYMOUS
        self._source = sourceOf(transport)
        self._timer = self._clock.callLater(REQUEST_TIME, self._tooSlow)

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        if self._association is not None:
            # The connection only says that the association is still wanted.
            return
        self._buffer += data
        if self._opening is not None:
            if len(self._buffer) > MAX_EARLY_BYTES:
                self.transport.pauseProducing()
            return
        try:
            while self._step is not None and self._step():
                pass
        except SocksError as error:
            self._refuse(error.reply)
        except MalformedError as error:
            self.log.info(
                "{listener}: {peer} sent what is no SOCKS5: {error}",
                listener=self._listener,
                peer=self.transport.getPeer(),
                error=error,
            )
            self._end()

    def connectionLost(self, reason: Failure) -> None:
        self._lost = reason
        self._step = None
        self._stopTimer()
        if self._opening is not None:
            self._opening.cancel()
        if self._association is not None:
            self._association.close()

    # The messages. Each step tells whether it has read one.

    def _readGreeting(self) -> bool:
        methods, size = parseGreeting(self._buffer)
        if methods is None:
            return False
        self._buffer = self._buffer[size:]
        if METHOD_PASSWORD in methods:
            self._step = self._readPassword
            self.transport.write(writeMethod(METHOD_PASSWORD))
        elif METHOD_NONE in methods and (self._anonymous or self._identity):
            self._step = self._readRequest
            self.transport.write(writeMethod(METHOD_NONE))
        else:
            self.transport.write(writeMethod(METHOD_UNACCEPTABLE))
            self._end()
        return True

    def _readPassword(self) -> bool:
        credentials, size = parsePassword(self._buffer)
        if credentials is None:
            return False
        self._buffer = self._buffer[size:]
        user, password = credentials
        accepted = self._context.authenticator.authenticatePassword(user, password)
        self.transport.write(writePasswordReply(accepted))
        if accepted:
            self._identity = evolve(self._identity, user=user)
            self._step = self._readRequest
        else:
            self._end()
        return True

    def _readRequest(self) -> bool:
        request, size = parseRequest(self._buffer)
        if request is None:
            return False
        self._buffer = self._buffer[size:]
        self._step = None
        self._stopTimer()
        if request.command == COMMAND_CONNECT:
            self._connect(request)
        elif request.command == COMMAND_UDP_ASSOCIATE:
            self._associate(request)
        else:
            self._refuse(REPLY_COMMAND_NOT_SUPPORTED)
        return True

    # CONNECT

    def _connect(self, request: SocksRequest) -> None:
        if not request.port:
            self._refuse(REPLY_FAILURE)
            return
        # Reading goes on, so that a client that goes away is noticed.
        self._timer = self._clock.callLater(DIAL_TIME, self._dialTooSlow)
        opening = self._flows.openStream(self._flow("tcp", Target(request.host, request.port)))
        self._opening = opening
        opening.addBoth(self._settled)
        opening.addCallbacks(self._opened, self._failed)
        opening.addErrback(lambda failure: self.log.failure("answering a SOCKS client failed", failure))

    def _flow(self, protocol: str, target: Target) -> Flow:
        return Flow(protocol, target, self._source, self._identity, self._listener)

    def _settled(self, result: Any) -> Any:
        self._opening = None
        self._stopTimer()
        return result

    def _opened(self, near: IProtocol) -> None:
        if self._lost is not None:
            near.connectionLost(self._lost)
            return
        early, self._buffer = self._buffer, b""
        self.transport.write(writeReply(SocksReply(REPLY_SUCCEEDED)))
        handOver(self.transport, near, early)

    def _failed(self, failure: Failure) -> None:
        if self._lost is not None:
            return
        error = failure.value
        if not isinstance(error, FlowError):
            self.log.failure("{listener}: opening a flow failed", failure, listener=self._listener)
        self._refuse(replyFor(error.cause) if isinstance(error, FlowError) else REPLY_FAILURE)

    def _dialTooSlow(self) -> None:
        self._timer = None
        if self._opening is not None:
            opening = self._opening
            self._refuse(replyFor(TargetTimeout.proxyStatus))
            self._lost = Failure(ConnectionDone())
            opening.cancel()

    # UDP ASSOCIATE

    def _associate(self, request: SocksRequest) -> None:
        host = addressOf(self.transport.getHost())
        if host is None or self._source is None:
            # On a Unix socket there is no address that the client and we share.
            self._refuse(REPLY_COMMAND_NOT_SUPPORTED)
            return
        try:
            socket = self._context.network.datagramSocket(str(Target(host[0], 0)))
        except OSError:
            self.log.failure("{listener}: a UDP socket can't be bound", listener=self._listener)
            self._refuse(REPLY_FAILURE)
            return
        # A client that says which port it will use is held to it; most say nothing, with port 0.
        client = (self._source[0], request.port if request.host == self._source[0] else 0)
        flow = self._flow("udp", Target(request.host, request.port))
        self._association = UDPAssociation(socket, self._flows, self._clock, flow, client)
        bound: Any = socket.getHost()
        self.transport.write(writeReply(SocksReply(REPLY_SUCCEEDED, bound.host, bound.port)))

    # The end

    def _refuse(self, reply: int) -> None:
        self.transport.write(writeReply(SocksReply(reply)))
        self._end()

    def _end(self) -> None:
        self._step = None
        self._buffer = b""
        self._stopTimer()
        self.transport.loseConnection()

    def _tooSlow(self) -> None:
        self._timer = None
        self._step = None
        self.transport.abortConnection()

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
