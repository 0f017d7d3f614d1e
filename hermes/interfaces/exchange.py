"""
The HTTP exchange shape: a request head, a body stream, a response head, a body stream, trailers.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface

from hermes.interfaces.stream import IAttachable
from hermes.values import Headers, RequestHead, ResponseHead


class IExchange(IAttachable):
    """
    One request and its response, seen from one end. Its transport side is the body: what is written is our body (a
    server's response, a client's request), C{loseWriteConnection} ends it, and the attached protocol reads the peer's.
    A tunnel is an exchange whose bodies go on in both directions.

    The version of HTTP does not show, save in C{version}.
    """

    request = Attribute("L{RequestHead}: the request.")
    version = Attribute("C{str}: C{'1.1'} or C{'2'}.")
    bodyless = Attribute(
        "C{bool}: whether it is known from the peer's head that no body follows: nothing need be attached then."
    )
    bodyLength = Attribute("C{int} or L{None}: how many bytes the peer's body has, where its head says so.")
    trailers = Attribute("L{Headers}: the peer's trailer fields; complete once its body has ended.")
    identity = Attribute("L{hermes.values.Identity}: the peer's, as the connection authenticated it (its certificate).")
    source = Attribute("L{hermes.values.Address} or L{None}: the peer's address, PROXY protocol applied.")

    def reset(code: int) -> None:
        """
        End the exchange at once with an HTTP/2 error code (RFC 9113 section 7); on HTTP/1.1 the connection is aborted.
        """

    def ignore() -> None:
        """
        What is still to come of the peer's body is read away; the attached protocol hears of its end, and no more of
        what it holds. Not for tunnels.
        """

    def writeTrailers(trailers: Headers) -> None:
        """
        Send trailer fields and end our body, in place of C{loseWriteConnection}.
        """


class IServerExchange(IExchange):
    """
    The server's end.
    """

    def respond(head: ResponseHead, end: bool = False) -> None:
        """
        Send the response head; with C{end}, there is no body. A 1xx head may be sent any number of times before the
        final one. A 2xx (HTTP/1.1: also 101, chosen by the exchange) to a CONNECT turns the exchange into a tunnel.
        """

    def notifyLost(callback: Callable[[Failure], None]) -> None:
        """
        Call C{callback} once if the exchange is cut short before a protocol is attached (reset by the client,
        connection lost), so that what was started for it can be cancelled. From C{attach} on the protocol's
        C{connectionLost} tells, and C{callback} is not called. Called at most once; at once where the exchange is
        already gone.
        """

    def askToFinish() -> None:
        """
        Ask the client to finish what is open on the connection that carries this exchange, and to open nothing new on
        it (GOAWAY, RFC 9113 section 6.8). The exchange goes on. HTTP/1.1 has no word for it.
        """


class IClientExchange(IExchange):
    """
    The client's end. Writing the body may begin before the response.
    """

    def response() -> Deferred[ResponseHead]:
        """
        The final response head. Errback with L{hermes.errors.StreamReset} or L{hermes.errors.HopUnavailable} where none
        came. Called once.
        """

    def notifyInformational(callback: Callable[[ResponseHead], None]) -> None:
        """
        Call C{callback} with each 1xx head that comes before the final one, save 101. It is asked for as soon as the
        exchange is there, or what came is not told.
        """

    def notifyDraining(callback: Callable[[], None]) -> None:
        """
        Call C{callback} once when the peer asks to finish what is open on the connection that carries this exchange
        (GOAWAY, RFC 9113 section 6.8): the exchange goes on, and the next one will be on another connection. At once
        where it has asked already. HTTP/1.1 has no word for it. After the exchange has ended it is not called.
        """

    reused = Attribute(
        "C{bool}: whether it is on a connection of HTTP/1.1 that had waited for it, which the peer may have closed "
        "just then. Its C{response} then errbacks with L{hermes.errors.HopUnavailable}, and nothing of one has come."
    )

    def whenAnswered(answered: Callable[[ResponseHead], None], failed: Callable[[Failure], None]) -> None:
        """
        In place of C{response}, and with less to do for each exchange: one of the two is called, once. What is called
        must not raise.
        """


class IExchangeHandler(Interface):
    """
    What a server connection hands its exchanges to.
    """

    def exchangeReceived(exchange: IServerExchange) -> None:
        """
        A request head has arrived. The handler responds now or later. Nothing of the body is delivered before
        C{attach}; until then at most one window of it waits.
        """


class IExchangeClient(Interface):
    """
    Opens exchanges with one peer: a connection, or a pool of connections.
    """

    def exchange(head: RequestHead, end: bool = False) -> Deferred[IClientExchange]:
        """
        Send a request head; fires once a stream was to be had and the head is on its way. With C{end}, the request has
        no body. Errback with a L{hermes.errors.FlowError} where the peer can't be reached or does not speak what the
        request needs (extended CONNECT, RFC 8441).
        """


class IReadyExchangeClient(IExchangeClient):
    """
    One that can often open an exchange without waiting.
    """

    def tryExchange(head: RequestHead, end: bool = False) -> IClientExchange | None:
        """
        The same as C{exchange} where a stream is to be had now; L{None} where it is not, and nothing was done.

        @raise hermes.errors.FlowError: where the head can't be sent.
        """
