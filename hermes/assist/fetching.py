"""
Small HTTP requests of our own: questions to an authorizer, key sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from attrs import frozen
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers as WebHeaders
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

from hermes.errors import HermesError
from hermes.values import Headers, fieldValue

MAX_ANSWER: Final = 256 * 1024
"""
Bytes that an answer may have.
"""


def trustRoot(path: str) -> Any:
    """
    The certificates in a file (PEM), as what servers are checked against.

    @raise ValueError: where it has none, or one can't be read.
    @raise OSError: where it can't be read itself.
    """
    with open(path, "rb") as file:
        found = load_pem_x509_certificates(file.read())
    return trustRootFromCertificates([Certificate.loadPEM(each.public_bytes(Encoding.PEM)) for each in found])


class FetchFailed(HermesError):
    """
    There was no answer. The text is for the log.
    """


@frozen
class Answer:
    """
    @ivar status: of HTTP.
    @ivar headers: its fields, names in lower case.
    @ivar body: all of it.
    """

    status: int
    headers: Headers
    body: bytes

    def get(self, name: bytes) -> bytes | None:
        """
        The combined value of a field, or L{None}.
        """
        return fieldValue(self.headers, name)


class Fetch(Protocol):
    """
    Asks.
    """

    def __call__(self, method: bytes, url: str, headers: Headers = (), body: bytes = b"") -> Deferred[Answer]:
        """
        Fires with any answer that was read whole. Errback with L{FetchFailed}. Can be cancelled.
        """


@implementer(IBodyProducer)
class _Body:
    """
    A request's body that is all there.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._data)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class _Reader(TwistedProtocol):
    """
    Reads a response's body, no more than is allowed.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self.read: Deferred[bytes] = Deferred(self._cancel)

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > MAX_ANSWER and not self.read.called:
            self._data.clear()
            self._close()
            self.read.errback(FetchFailed(f"the answer has more than {MAX_ANSWER} bytes"))

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  # as Twisted has it
        if self.read.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.read.callback(bytes(self._data))
        else:
            self.read.errback(FetchFailed("the answer was cut short"))

    def _cancel(self, _: Deferred[bytes]) -> None:
        self._close()

    def _close(self) -> None:
        # What delivers a body can't be aborted: closed it can be.
        transport: Any = self.transport
        transport.loseConnection()


class Fetcher:
    """
    Asks over connections that are kept.
    """

    def __init__(self, reactor: Any, timeout: float, connections: int = 8, trust: str | None = None) -> None:
        """
        @param timeout: seconds for an answer, all of it.
        @param connections: kept to one host.
        @param trust: a file with the certificates (PEM) that those of C{https:} are checked against; those of the
            system where there is none.
        @raise OSError: where the file can't be read.
        """
        self._reactor = reactor
        self._timeout = timeout
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = connections
        policy = BrowserLikePolicyForHTTPS() if trust is None else BrowserLikePolicyForHTTPS(trustRoot(trust))
        self._agent = Agent(reactor, policy, connectTimeout=timeout, pool=self._pool)

    def __call__(self, method: bytes, url: str, headers: Headers = (), body: bytes = b"") -> Deferred[Answer]:
        return Deferred.fromCoroutine(self._fetch(method, url, headers, body)).addTimeout(
            self._timeout, self._reactor, self._tooLate
        )

    def _tooLate(self, result: Any, timeout: float) -> Any:
        raise FetchFailed(f"no answer in {timeout:g} seconds")

    async def _fetch(self, method: bytes, url: str, headers: Headers, body: bytes) -> Answer:
        fields = WebHeaders()
        for name, value in headers:
            fields.addRawHeader(name, value)
        try:
            producer = _Body(body) if body else None
            response: IResponse = await self._agent.request(method, url.encode("ascii"), fields, producer)
            reader = _Reader()
            response.deliverBody(reader)
            data = await reader.read
        except (CancelledError, FetchFailed):
            raise
        except Exception as error:
            if any(reason.check(CancelledError) for reason in _reasons(error)):
                raise CancelledError from None
            raise FetchFailed(f"{type(error).__name__}: {_told(error)}") from error
        found = tuple((name.lower(), value) for name, values in response.headers.getAllRawHeaders() for value in values)
        return Answer(response.code, found, data)

    def close(self) -> Deferred[None]:
        """
        Close the connections that are kept.
        """
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed


def _reasons(error: Exception) -> Sequence[Failure]:
    reasons: Sequence[Failure] = getattr(error, "reasons", ())
    return reasons


def _told(error: Exception) -> str:
    return "; ".join(str(reason.value) for reason in _reasons(error)) or str(error)
