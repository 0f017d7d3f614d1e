"""
From a listener to a dialer: who asks, and who opens the far side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from zope.interface import Attribute, Interface

from hermes.interfaces.channel import IDatagramReceiver
from hermes.interfaces.packet import IPacketReceiver
from hermes.values import Flow


class IFlowHandler(Interface):
    """
    What listeners hand their flows to: it routes, dials, splices and counts, and gives back the near end.
    """

    def openStream(flow: Flow) -> Deferred[IProtocol]:
        """
        Open the far side of a byte stream. Fires with the protocol to attach to the listener's own transport (an
        L{hermes.interfaces.IBorrowingProtocol}); from then on the two are spliced. If the listener's client goes away
        first, cancel the Deferred. If it fires and there is no transport any more, call the protocol's
        C{connectionLost}.

        Errback with L{hermes.errors.FlowError}.
        """

    def openDatagrams(flow: Flow) -> Deferred[IDatagramReceiver]:
        """
        Open the far side of a datagram flow. Fires with the receiver for the listener's own channel.
        """

    def openPackets(flow: Flow) -> Deferred[IPacketReceiver]:
        """
        Take a tunnel of IP packets that ends here. Fires with the receiver for the listener's own channel, an
        L{hermes.interfaces.IPacketTunnel}; what becomes of each packet is decided as it comes. A tunnel that only
        passes through is a byte stream: C{openStream}, with a flow whose protocol is C{"ip"}.
        """

    def authorise(flow: Flow) -> None:
        """
        Ask the routes, and open nothing: for what is no flow yet, such as C{listen}.

        @raise FlowError: where no route takes the flow, or one denies it.
        """


class IDialer(Interface):
    """
    Opens the far side of flows in one way: directly, through a hop, through a chain.
    """

    def connectStream(flow: Flow, protocol: IProtocol) -> Deferred[IProtocol]:
        """
        Connect C{protocol} to C{flow.target}. Fires with the protocol, after its C{makeConnection}. Can be cancelled.

        Errback with L{hermes.errors.FlowError}; the protocol was then never connected.
        """

    def connectDatagrams(flow: Flow, receiver: IDatagramReceiver) -> Deferred[IDatagramReceiver]:
        """
        The same for datagrams: C{receiver} gets an L{hermes.interfaces.IDatagramChannel}.
        """

    def connectPackets(flow: Flow, receiver: IPacketReceiver) -> Deferred[IPacketReceiver]:
        """
        The same for IP packets: C{receiver} gets an L{hermes.interfaces.IPacketTunnel}. The flow's protocol is
        C{"ip"}; where its C{connectStream} is asked for, the protocol gets the bytes of the tunnel as they are.

        Errback with L{hermes.errors.NotImplementedHere} where a dialer opens no tunnels.
        """


class IHop(Interface):
    """
    An upstream that is another proxy, one or more endpoints of it.
    """

    name = Attribute("C{str}: the upstream's name in the configuration.")
    dialer = Attribute("L{IDialer}: tunnels in connections that go straight to the hop.")
    takesExchanges = Attribute(
        "C{bool}: whether it takes HTTP exchanges as well as tunnels: its dialers then provide "
        "L{hermes.interfaces.IExchangeClient} too."
    )

    def through(dialer: IDialer) -> IDialer:
        """
        Tunnels in connections that run inside a stream of C{dialer}: TLS with this hop ends here and there, and what
        carries it learns this hop's address and nothing of the flow. The same C{dialer} gives the same result.
        """

    def close() -> Deferred[None]:
        """
        Open nothing more and close the connections once their streams have ended.
        """


class IMeasuredHop(IHop):
    """
    A hop whose round trip can be asked for.
    """

    addresses = Attribute("sequence of C{str}: its endpoints.")

    def ping(address: str) -> Deferred[float]:
        """
        Measure the round trip to an endpoint, straight; connect where there is no connection. What is measured is in
        C{status} from then on.

        @return: fires with seconds. Errback with L{hermes.errors.FlowError} where it can't be reached, with
            L{hermes.errors.NotImplementedHere} where what it speaks has no round trip, and as a connection that is
            lost does. It may take as long as connecting may, and an answer.
        """

    def status() -> Mapping[str, Any]:
        """
        For the status API: C{endpoints} has, for each, C{address}, C{connections}, C{streams}, C{roundTripSeconds} or
        L{None}, and C{segmentsSent} and C{segmentsResent} of TCP.
        """


class IAuthenticator(Interface):
    """
    Turns a credential into an identity.
    """

    def authenticate(authorization: bytes | None) -> str | None:
        """
        The user whom the value of a C{Proxy-Authorization} or C{Authorization} field proves, or L{None} where it is
        absent or wrong. Comparisons take the same time for every wrong value.
        """

    def authenticatePassword(user: str, password: str) -> bool:
        """
        Whether C{password} is C{user}'s (for SOCKS5, RFC 1929). It may take time, and may be called in a thread.
        """

    def knownPassword(user: str, password: str) -> bool | None:
        """
        The same where it takes no time to tell, because it was found out before; L{None} where it would.
        """

    required = Attribute("C{bool}: whether somebody who is not authenticated is turned away.")


class IListener(Interface):
    """
    A running listener.

    What a reload of the configuration asks of it, it need not have:

      - C{checkFiles()} and C{readFiles()}, where its options stay the same: whether its files (certificates) are good,
        raising L{hermes.errors.HermesError} where they are not, and, once all that could fail has not, read them.
      - C{reconfigurable(options)}, where they change: whether it can take C{options} (of its type) while it runs.
        Nothing changes yet; L{hermes.errors.HermesError} refuses the reload. Where it says C{True}, it stays and gets
        C{reconfigure(options)}, which must not fail, once the new routes hold. Where it says C{False}, or has no such
        method, it is stopped and a new one is made.
      - C{verify(options, leaving)}, where it takes them: whether what they need can be had, once C{leaving}, listeners
        of this node, have stopped. Nothing changes. It may return a Deferred.
      - C{reserve(leaving=())}, where it is new: take hold of its place, a port for instance, for as long as it takes
        until C{start}; nobody is served. The result, or what its Deferred fires with, gives it back, and does nothing
        once C{start} was called. It fails as C{start} would. C{leaving} are listeners of this node that have its place
        and stop before it starts: it finds out what can be known all the same. They may say in C{binds} where they are
        bound, as their options do, for L{INetwork}.
      - C{routesChanged()}, where it stays, after these: new flows are opened with other routes from now on.

    Nor need it have C{status()}: what there is to tell of it, for the status API, by name; plain values.
    """

    name = Attribute("C{str}: its name in the configuration.")

    def start() -> Deferred[None]:
        """
        Bind and accept. Errback with a sentence that names the address where that fails.
        """

    def stop() -> Deferred[None]:
        """
        Accept nothing more; what was accepted goes on.
        """

    def drain() -> None:
        """
        Ask what is open to finish: GOAWAY on HTTP/2, C{Connection: close} on HTTP/1.1.
        """

    def abort() -> None:
        """
        End what is still open.
        """

    def getHost() -> object:
        """
        The bound address, as a Twisted L{IAddress}.

        @raise HermesError: where it does not listen.
        """


class IListenerType(Interface):
    """
    A type of listener, for the C{type} key in the configuration. Those of Hermes and those of extensions are found in
    the same way: a Twisted plugin in C{twisted.plugins} that provides this.

    It may have C{ends}, a tuple of the protocols, as routes match them, of what may end at such a listener: a route's
    C{to} can name it then. With C{"ip"} it is a device of the node's packets; else its listeners provide L{IDialer}.
    """

    type = Attribute("C{str}: the value of the C{type} key.")
    options = Attribute("An attrs class: the other keys of the listener.")

    def listener(name: str, options: object, context: IListenerContext) -> IListener:
        """
        Make a listener; it binds when started. C{options} is an instance of C{self.options}.
        """


class IListenerContext(Interface):
    """
    What a listener stands on.
    """

    reactor = Attribute("The reactor, with time, timers and threads.")
    nodeName = Attribute("C{str}: the name of this node in the overlay.")
    flows = Attribute("L{IFlowHandler}.")
    requests = Attribute("L{hermes.interfaces.IRequestHandler}: for HTTP exchanges that are no tunnels.")
    authenticator = Attribute("L{IAuthenticator}: the users of this node.")
    packets = Attribute("L{hermes.interfaces.IPacketPlane}: where devices of IP packets take part.")
    commons = Attribute("L{hermes.interfaces.ICommons}: what parts of the node offer each other.")
    network = Attribute("L{hermes.interfaces.INetwork}.")
    credentials = Attribute(
        "L{hermes.interfaces.IServerCredentials} of this node, or L{None} where it has no identity."
    )


class IFlowObserver(Interface):
    """
    Hears of every flow: metrics, access log.
    """

    def flowOpened(record: object) -> None:
        """
        A flow was accepted by a route and its far side is up. C{record} is a L{hermes.fabric.record.FlowRecord}.
        """

    def flowClosed(record: object) -> None:
        """
        It has ended; the record holds bytes, datagrams and duration.
        """

    def flowRefused(record: object) -> None:
        """
        It was never opened; the record holds the error.
        """
