"""
The HTTP exchange shape, on its way through a proxy: who answers a request, and who assists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface

from hermes.interfaces.exchange import IExchangeHandler, IServerExchange
from hermes.interfaces.flow import IDialer
from hermes.values import Buffer, Flow, Forwarded, Headers

if TYPE_CHECKING:
    from hermes.messages import Request, Response


class IBodySink(Interface):
    """
    What takes a body.
    """

    def dataReceived(data: Buffer) -> None:
        """
        The next piece, at least one byte, borrowed.
        """

    def bodyEnded(trailers: Headers) -> None:
        """
        The body is complete. Nothing more is called.
        """

    def bodyFailed(reason: Failure) -> None:
        """
        The body is cut short: what came is not the whole. Nothing more is called.
        """


class IBody(IPushProducer):
    """
    A body that is still to be read, by one reader, once. Whoever holds one and does not want it calls
    C{stopProducing}, before C{start} or after; the sink then hears nothing more.
    """

    length = Attribute("C{int} or L{None}: how many bytes it has, where that is known before it is read.")

    def start(sink: IBodySink) -> None:
        """
        Deliver to C{sink}. It may be called before this returns; C{pauseProducing} may be called from within.
        """


class IRequestSender(Interface):
    """
    Answers requests: an upstream, a hop, a chain of assisting components before them.
    """

    def send(request: Request) -> Deferred[Response]:
        """
        Fires with the head of the final response and its body, which the caller must start or stop. Errback with a
        L{hermes.errors.FlowError} where there is none. Cancelling gives the request up.

        The request's body is the sender's from here on.
        """


class IRequestUpstream(Interface):
    """
    An upstream whose endpoints this node picks, as requests see it.
    """

    def sender(carrier: IDialer | None = None) -> IRequestSender:
        """
        What sends requests to its endpoints: straight, or over connections that are streams of C{carrier}. The same
        carrier gives the same result, with the same connections.
        """


class IRequestHandler(Interface):
    """
    What listeners hand their HTTP exchanges to: it names who asks, routes, assists, sends, and answers.
    """

    def listener(
        name: str,
        assist: tuple[str, ...] = (),
        anonymous: bool = True,
        gateway: bool = False,
        forwarded: Forwarded = "none",
    ) -> IExchangeHandler:
        """
        What takes the exchanges of one listener, for as long as it is bound: it follows the configuration.

        @param assist: the names of the assisting components that each request passes before it is routed, in order.
        @param anonymous: whether a request is taken whose sender nobody could name.
        @param gateway: whether requests are for this proxy as an origin (C{Authorization}, 401) rather than for one
            beyond it (C{Proxy-Authorization}, 407).
        @param forwarded: what whoever is beyond is told about the client.
        """

    def admission(name: str, assist: tuple[str, ...]) -> IAdmission | None:
        """
        What the tunnels and flows of one listener pass, L{None} where C{assist} is empty.
        """


class IAdmission(Interface):
    """
    Asks the assisting components of one listener about tunnels and flows that are to be opened.
    """

    identifies = Attribute(
        "C{bool}: whether one of the components names who asks: then nobody else does, and who the connection is, is "
        "all that is known before."
    )

    def admit(exchange: IServerExchange, flow: Flow, gateway: bool) -> Deferred[Flow | None]:
        """
        Ask about C{flow}, which C{exchange} asks for. Fires with the flow as it is to be opened, or with L{None} where
        it is refused and the exchange was answered. Errback with a L{hermes.errors.FlowError} that is still to be told.
        Can be cancelled.

        @param gateway: whether this proxy is the origin of the request: see L{IRequestHandler.listener}.
        """

    def admitFlow(flow: Flow) -> Deferred[Flow]:
        """
        The same for a flow that no exchange asks for. Errback with L{hermes.errors.FlowError} where it is refused.
        """


Send: TypeAlias = "Callable[[Request], Deferred[Response]]"
"""
What sends requests on: L{IRequestSender.send}, or a chain of assisting components before it.
"""


class IAssistant(Interface):
    """
    An assisting component: a cache, an authorizer, a limit. Each request on a listener or a route that names it passes
    through.
    """

    def assist(request: Request, onward: Send) -> Deferred[Response]:
        """
        Answer C{request}: by itself, or with what C{onward} answers, the same or changed. C{onward} may be called
        not at all, or more than once (with a body, once). The request may be changed and passed on.

        Errback with a L{hermes.errors.FlowError} to refuse; cancelling gives the request up.
        """

    def status() -> Mapping[str, Any]:
        """
        For the status API: plain values.
        """

    def close() -> Deferred[None]:
        """
        No configuration names it any more, and no request is with it.
        """


class IIdentifyingAssistant(IAssistant):
    """
    One that names who asks: it sets the identity of C{request.flow} and of its record's. On a listener that has one, no
    credential is looked at before.
    """


class IAssistantType(Interface):
    """
    A type of assisting component, for the C{type} key under C{assist} in the configuration. Those of Hermes and those
    of extensions are found in the same way: a Twisted plugin in C{twisted.plugins} that provides this.
    """

    type = Attribute("C{str}: the value of the C{type} key.")
    options = Attribute("An attrs class: the other keys.")

    def assistant(name: str, options: Any, context: IAssistantContext) -> IAssistant:
        """
        Make one. It is kept over reloads for as long as its options stay the same.

        @raise hermes.errors.HermesError: with a sentence for the operator.
        """


class IAssistantContext(Interface):
    """
    What an assisting component stands on.
    """

    reactor = Attribute("The reactor, with time, timers and threads.")
    nodeName = Attribute("C{str}: the name of this node in the overlay.")
    authenticator = Attribute("L{hermes.interfaces.IAuthenticator}: the users of this node.")
    registry = Attribute(
        "A C{prometheus_client.CollectorRegistry}, for metrics of its own; one for all its generations."
    )
    commons = Attribute("L{hermes.interfaces.ICommons}: what parts of the node offer each other.")


class IRequestObserver(Interface):
    """
    Hears of every request: metrics, access log, traces. What is called for each request must be cheap.
    """

    def requestStarted(record: Any) -> None:
        """
        A request was taken; C{record} is a L{hermes.messages.RequestRecord}. What is set in its C{notes} stays there.
        """

    def requestEnded(record: Any) -> None:
        """
        The exchange is over, however it ended.
        """
