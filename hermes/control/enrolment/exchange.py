"""
How a node asks for its first certificate: one line each way, JSON, over TLS with the ALPN protocol
C{hermes-enrol/1}. The node has no certificate yet; the controller's is of the authority that the token names.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

import hermes
from hermes.control.channel.conversion import Unconvertible, fromValue, toValue
from hermes.control.channel.counts import Refusals
from hermes.control.enrolment.errors import BadRequest, EnrolmentRefused
from hermes.control.enrolment.registrar import Enrolled, Registrar

ENROL = b"hermes-enrol/1"
"""
The ALPN protocol.
"""

MAX_LINE = 32 * 1024
"""
How long a line is at most, in bytes.
"""

ANSWER_TIME = 30.0
"""
Seconds that the controller may take to answer.
"""


@frozen
class EnrolmentRequest:
    """
    What a node sends.

    @ivar token: as text.
    @ivar request: PKCS #10, PEM.
    @ivar software: the version of Hermes that it runs.
    """

    token: str
    request: str
    software: str = ""


@frozen
class EnrolmentAnswer:
    """
    What it gets: an error, or all else.

    @ivar error: why it is refused.
    @ivar node: its name.
    @ivar certificate: PEM.
    @ivar trust: what it is to trust from now on, PEM.
    @ivar controllers: addresses of all controllers; may be empty.
    """

    error: str = ""
    node: str = ""
    certificate: str = ""
    trust: str = ""
    controllers: tuple[str, ...] = ()


def toLine(message: Any) -> bytes:
    """
    A message as it is sent.
    """
    return json.dumps(toValue(message, type(message))).encode() + b"\n"


class LineProtocol(Protocol):
    """
    Receives one line.
    """

    transport: Any

    def __init__(self) -> None:
        self._received = bytearray()
        self._over = False

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        self._received += data
        line, end, _ = self._received.partition(b"\n")
        if end or len(self._received) > MAX_LINE:
            self._over = True
            self._received = bytearray()
            if end and len(line) <= MAX_LINE:
                self.lineReceived(bytes(line))
            else:
                self.tooLong()

    def lineReceived(self, line: bytes) -> None:
        """
        It is there.
        """
        raise NotImplementedError

    def tooLong(self) -> None:
        """
        It is too long.
        """
        self.transport.abortConnection()


class EnrolmentServer:
    """
    Serves nodes that join; a L{hermes.control.channel.server.Stranger}.
    """

    log = Logger()

    def __init__(
        self, registrar: Registrar, refusals: Refusals, controllers: Callable[[], tuple[str, ...]] = lambda: ()
    ) -> None:
        """
        @param refusals: counts what was refused.
        @param controllers: the addresses of all controllers.
        """
        self.registrar = registrar
        self.refusals = refusals
        self.controllers = controllers

    def __call__(self, transport: Any, done: Callable[[], None]) -> None:
        """
        Serve a connection. It counts as a stranger's until it is closed.
        """
        transport.attach(_Joining(self))

    async def answer(self, line: bytes, origin: str) -> EnrolmentAnswer:
        """
        The answer to a request.
        """
        try:
            request = fromValue(json.loads(line), EnrolmentRequest)
        except (Unconvertible, ValueError, RecursionError):
            return self._refuse("malformed", "the request can't be read")
        try:
            enrolled = await self.registrar.join(request.token, request.request, origin, request.software[:64])
        except EnrolmentRefused as error:
            self.log.warn("a node at {origin} was not enrolled: {error}", origin=origin, error=error)
            return self._refuse("token", str(error))
        except BadRequest as error:
            return self._refuse("malformed", str(error))
        except Exception:
            self.log.failure("a node at {origin} could not be enrolled", origin=origin)
            return self._refuse("failed", "the controller could not enrol the node; its log says why")
        return EnrolmentAnswer("", enrolled.node, enrolled.certificate, enrolled.trust, self.controllers())

    def _refuse(self, kind: str, text: str) -> EnrolmentAnswer:
        self.refusals.add(kind)
        return EnrolmentAnswer(error=text)


class _Joining(LineProtocol):
    def __init__(self, server: EnrolmentServer) -> None:
        super().__init__()
        self._server = server

    def lineReceived(self, line: bytes) -> None:
        origin = str(getattr(self.transport.getPeer(), "host", ""))
        answering = Deferred.fromCoroutine(self._server.answer(line, origin))
        answering.addCallback(self._answer)

    def _answer(self, answer: EnrolmentAnswer) -> None:
        self.transport.write(toLine(answer))
        self.transport.loseConnection()

    def tooLong(self) -> None:
        self._server.refusals.add("malformed")
        super().tooLong()


class _Asking(LineProtocol):
    def __init__(self, request: EnrolmentRequest, answer: Deferred[EnrolmentAnswer]) -> None:
        super().__init__()
        self._request = request
        self._answer = answer

    def connectionMade(self) -> None:
        self.transport.write(toLine(self._request))

    def lineReceived(self, line: bytes) -> None:
        try:
            answer = fromValue(json.loads(line), EnrolmentAnswer)
        except (Unconvertible, ValueError, RecursionError):
            self._fail("the controller's answer can't be read")
        else:
            self._answer.callback(answer)
            self.transport.loseConnection()

    def tooLong(self) -> None:
        self._fail("the controller's answer is too long")

    def tooLate(self) -> None:
        """
        Wait no more.
        """
        self._fail("the controller did not answer in time")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._fail("the connection was lost before the controller answered")

    def _fail(self, text: str) -> None:
        if not self._answer.called:
            self._answer.errback(EnrolmentFailed(text))
            self.transport.abortConnection()


class EnrolmentFailed(EnrolmentRefused):
    """
    There is no answer. Whether the token was taken is not known.
    """


async def askForCertificate(
    clock: IReactorTime, endpoint: IStreamClientEndpoint, token: str, request: str
) -> tuple[Enrolled, tuple[str, ...]]:
    """
    Join.

    @param endpoint: connects, with TLS, ALPN L{ENROL}, to nobody but the controller.
    @return: what the controller has answered, and the addresses of all controllers.
    @raise EnrolmentRefused: where it refuses.
    @raise EnrolmentFailed: where it does not answer.
    @raise hermes.errors.HermesError: where it can't be connected to.
    """
    answered: Deferred[EnrolmentAnswer] = Deferred()
    asked = EnrolmentRequest(token, request, hermes.__version__)
    asking = _Asking(asked, answered)
    await endpoint.connect(Factory.forProtocol(lambda: asking))
    timer = clock.callLater(ANSWER_TIME, asking.tooLate)
    try:
        answer = await answered
    finally:
        if timer.active():
            timer.cancel()
    if answer.error:
        raise EnrolmentRefused(answer.error)
    return Enrolled(answer.node, answer.certificate, answer.trust), answer.controllers
