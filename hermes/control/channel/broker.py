"""
One end of a connection of Perspective Broker, which trusts the other end with nothing: what it takes is bounded, what
it unserializes are values, and what crosses of an error is a name and a chosen sentence.

On the wire it is Perspective Broker (version 6, dialect C{pb}), and Twisted's own can be the peer.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.spread import pb
from zope.interface import implementer

from hermes.control.channel.answering import Answering
from hermes.control.channel.asking import Asking
from hermes.control.channel.banana import Decoder, Expression, MalformedBanana, encode
from hermes.control.channel.callee import Callee
from hermes.control.channel.counts import Refusals
from hermes.control.channel.errors import ChannelLost, Violation
from hermes.control.channel.jelly import REMOTE, MalformedValue, ValuesOnly
from hermes.control.channel.limits import DEFAULT, Limits
from hermes.control.channel.transfers import Transfers
from hermes.interfaces import IBorrowingProtocol
from hermes.values import Buffer

CLOSE_TIME = 5.0
"""
Seconds that the peer may take to close after we have.
"""

_LENGTHS = {b"version": 2, b"message": 7, b"answer": 3, b"error": 3, b"decref": 2}


@implementer(IBorrowingProtocol)
class ControlBroker(pb.Broker):
    """
    See the module. The positional arguments of a call are objects, its keyword arguments values.

    @ivar ready: fires once the peer has shown that it speaks the protocol; errback with L{ChannelLost} where the
        connection ends before.
    @ivar lost: fires, once the connection has ended, with why.
    @ivar heard: when the peer was last heard of, by the clock.
    @ivar peerName: who the peer is, for the log.
    """

    log = Logger()
    knownDialects = [b"pb"]  # noqa: RUF012 - as it is in the base class
    # Hermes' or Twisted's own.
    transport: Any

    def __init__(
        self,
        isClient: bool,
        clock: IReactorTime,
        refusals: Refusals,
        limits: Limits = DEFAULT,
        root: Callee | None = None,
        trusted: bool = True,
    ) -> None:
        """
        @param root: what the peer may call first, under the name C{root}.
        @param trusted: whether it is known who the peer is; if not, L{trust} is called when it is.
        """
        pb.Broker.__init__(self, isClient, ValuesOnly())
        self.limits = limits
        self.peerName = "the peer"
        self.heard = clock.seconds()
        self.ready: Deferred[ControlBroker] = Deferred()
        self.lost: Deferred[BaseException] = Deferred()
        self._clock = clock
        self._refusals = refusals
        self._decoder = Decoder(limits.message if trusted else limits.firstMessage, limits.depth, limits.items)
        transfers = self._transfers = Transfers(self, clock, limits)
        self._asking = Asking(self, self, clock, limits, transfers)
        self._answering = Answering(self, self, limits, transfers, refusals)
        self._cut = False
        self._closing: IDelayedCall | None = None
        if root is not None:
            self.localObjects[b"root"] = pb.Local(root)

    # The connection

    @property
    def gone(self) -> bool:
        """
        Whether nothing can be sent any more.
        """
        return bool(self.disconnected or self._cut)

    def trust(self) -> None:
        """
        It is known who the peer is.
        """
        self._decoder.most = self.limits.message

    def close(self) -> None:
        """
        Send what was written, and end; a peer that does not is cut off.
        """
        if not self.disconnected and self._closing is None:
            self._closing = self._clock.callLater(CLOSE_TIME, self.cut)
            self.transport.loseConnection()

    def cut(self) -> None:
        """
        End at once.
        """
        if not self._cut:
            self._cut = True
            if not self.disconnected:
                self.transport.abortConnection()

    def violated(self, kind: str, text: str) -> None:
        """
        The peer does not keep to the protocol: count, tell the log, cut.
        """
        if not self._cut:
            self._refusals.add(kind)
            self.log.warn("{peer} was cut off: {text}", peer=self.peerName, text=text, kind=kind)
            self.cut()

    def connectionMade(self) -> None:
        pb.Broker.connectionMade(self)
        self.heard = self._clock.seconds()

    def dataReceived(self, chunk: Buffer) -> None:
        self.heard = self._clock.seconds()
        try:
            for expression in self._decoder.feed(chunk):
                self.callExpressionReceived(expression)
                if self._cut or self._closing is not None or self.disconnected:
                    return
        except Violation as error:
            self.violated(error.kind, str(error))
        except (MalformedBanana, MalformedValue) as error:
            self.violated("malformed", str(error))
        except Exception:
            self.log.failure("failed to take what {peer} has sent", peer=self.peerName)
            self.violated("malformed", "what arrived could not be taken")

    def callExpressionReceived(self, obj: Expression) -> None:
        """
        A whole expression: at first, of the negotiation (the server offers dialects, the client takes one).
        """
        if self.currentDialect:
            self.expressionReceived(obj)
        elif self.isClient and type(obj) is list and b"pb" in obj:
            self.sendEncoded(b"pb")
            self._negotiated()
        elif not self.isClient and obj == b"pb":
            self._negotiated()
        else:
            raise Violation("malformed", "it speaks no dialect that is known")

    def _negotiated(self) -> None:
        self.currentDialect = b"pb"
        self.sendEncoded([b"version", self.version])
        self.ready.callback(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.disconnected:
            return
        self.disconnected = 1
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self.localObjects, self.luids = {}, {}
        self._transfers.drop()
        self._asking.lost()
        if not self.ready.called:
            self.ready.errback(ChannelLost(f"the connection was lost: {reason.getErrorMessage()}"))
        self.lost.callback(reason.value or Exception(str(reason)))

    # Messages

    def sendEncoded(self, obj: Expression) -> None:
        self.send(encode(list(obj) if type(obj) is tuple else obj))

    def send(self, data: bytes) -> None:
        """
        Send an expression that is encoded.
        """
        if self.gone:
            return
        self.transport.write(data)
        if getattr(self.transport, "bufferedBytes", 0) > self.limits.unread:
            self.violated("unread", "it does not read what it is sent")

    def expressionReceived(self, lst: Expression) -> None:
        if type(lst) is not list or not lst or type(lst[0]) is not bytes or lst[0] not in _LENGTHS:
            raise Violation("malformed", "it sends what is no message")
        command, *rest = lst
        if len(lst) != _LENGTHS[command]:
            raise Violation("malformed", f"it sends a malformed {command.decode()}")
        if command == b"message":
            self._answering.called(*rest)
        elif command == b"answer":
            self._asking.answered(*rest)
        elif command == b"error":
            self._asking.refused(*rest)
        elif command == b"decref":
            self._letGo(*rest)
        elif rest != [self.version]:
            raise Violation("malformed", "it speaks another version of Perspective Broker")

    def call(
        self,
        reference: pb.RemoteReference,
        method: str,
        values: dict[str, Any] | None = None,
        timeout: float | None = None,
        objects: tuple[Callee, ...] = (),
    ) -> Deferred[Any]:
        """
        Call an object of the peer.

        @param objects: ours, that it may call then.
        @param timeout: in seconds; that of the limits where not given. It does not hold for the pages of a large
            result, which have one each.
        @return: fires with the result: a value, or a list of which some are references. Errback with what the peer has
            told (L{hermes.control.channel.errors.CallError}), with L{ChannelLost},
            L{hermes.control.channel.errors.CallTimeout}, L{hermes.control.channel.errors.TooLarge}; with
            L{hermes.control.channel.errors.BadCall} where what was fetched is no value.
        """
        return self._asking.call(reference, method, values or {}, timeout, objects)

    # Objects

    @property
    def root(self) -> pb.RemoteReference:
        """
        What the peer may be called first.
        """
        return pb.RemoteReference(None, self, b"root", 0)

    def local(self, number: Any) -> Callee | None:
        """
        An object of ours, by its number or name; L{None} where the peer has none of these.
        """
        local = self.localObjects.get(number)
        return None if local is None else local.object

    def remote(self, callee: Callee) -> Expression:
        """
        One of our objects, which the peer has from now on, until it lets go of it.
        """
        number = self.luids.get(id(callee))
        if number is not None:
            self.localObjects[number].incref()
        elif len(self.localObjects) > self.limits.objects:
            raise Violation("objects", "it lets go of nothing")
        else:
            self.currentLocalID = number = self.currentLocalID + 1
            self.localObjects[number] = pb.Local(callee)
            self.luids[id(callee)] = number
        return [REMOTE, number]

    def _letGo(self, number: Any) -> None:
        local = self.localObjects.get(number) if type(number) is int else None
        if local is None:
            raise Violation("malformed", "it lets go of what it does not have")
        if local.decref() == 0:
            del self.luids[id(local.object)]
            del self.localObjects[number]
