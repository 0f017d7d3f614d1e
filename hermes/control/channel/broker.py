"""
One end of a connection of Perspective Broker, which trusts the other end with nothing: what it takes is bounded, what
it unserializes are values, and what crosses of an error is a name and a chosen sentence.

On the wire it is Perspective Broker (version 6, dialect C{pb}), and Twisted's own can be the peer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from attrs import define
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.spread import pb
from zope.interface import implementer

from hermes.control.channel.banana import Decoder, Expression, MalformedBanana, encode, encodeList
from hermes.control.channel.callee import Call, Callee, Handler
from hermes.control.channel.counts import Refusals
from hermes.control.channel.errors import (
    BY_NAME,
    BadCall,
    CallError,
    CallFailed,
    CallTimeout,
    ChannelLost,
    NoSuchMethod,
    NoSuchObject,
    TooLarge,
    Violation,
)
from hermes.control.channel.jelly import REMOTE, MalformedValue, ValuesOnly, fromJelly, toJelly
from hermes.control.channel.limits import DEFAULT, Limits
from hermes.control.channel.messages import errorExpression, isPaged, readArguments, readError, readResult
from hermes.control.channel.pages import Pages
from hermes.control.channel.transfers import Transfers
from hermes.interfaces import IBorrowingProtocol
from hermes.values import Buffer

CLOSE_TIME = 5.0
"""
Seconds that the peer may take to close after we have.
"""

_FAILED = "the other end failed to answer; its log says why"
_COMMANDS = frozenset((b"version", b"message", b"answer", b"error", b"decref", b"didNotUnderstand"))


@define(eq=False)
class _Asked:
    """
    A call of ours that was not answered yet.

    @ivar answer: L{None} once nobody waits any more.
    @ivar pages: the arguments, where they were too large for the message.
    """

    method: str
    answer: Deferred[Any] | None
    timer: IDelayedCall
    pages: Pages | None = None


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
        self._asked: dict[int, _Asked] = {}
        self._answering = 0
        self._transfers = Transfers(self, clock, limits)
        self._cut = False
        self._closing: IDelayedCall | None = None
        if root is not None:
            self.localObjects[b"root"] = pb.Local(root)

    # The connection

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
        asked, self._asked = self._asked, {}
        for each in asked.values():
            each.timer.cancel()
            answer, each.answer = each.answer, None
            if answer is not None:
                answer.errback(ChannelLost(f"the connection was lost before {each.method} was answered"))
        if not self.ready.called:
            self.ready.errback(ChannelLost(f"the connection was lost: {reason.getErrorMessage()}"))
        self.lost.callback(reason.value)

    # Writing

    def sendEncoded(self, obj: Expression) -> None:
        self._write(encode(list(obj) if type(obj) is tuple else obj))

    def _write(self, data: bytes) -> None:
        if self.disconnected or self._cut:
            return
        self.transport.write(data)
        if getattr(self.transport, "bufferedBytes", 0) > self.limits.unread:
            self.violated("unread", "it does not read what it is sent")

    # Our calls

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
        @return: fires with the result: a value, or a sequence of which some are references. Errback with L{CallError}
            as the peer has told it, L{ChannelLost}, L{CallTimeout}; L{BadCall} where the result is malformed.
        """
        if self.disconnected or self._cut:
            return fail(ChannelLost(f"there is no connection for {method}"))
        if len(self._asked) >= self.limits.asked:
            return fail(CallFailed("too many calls wait for an answer"))
        arguments = encode(toJelly(values or {}))
        pages: Pages | None = None
        if len(arguments) > self.limits.inline:
            try:
                pages = self._transfers.keep(arguments, method)
            except TooLarge:
                return fail()
            positional: list[Expression] = [self._remote(pages), pages.size, toJelly(pages.digest)]
            arguments = encode([b"dictionary"])
        else:
            positional = [self._remote(each) for each in objects]
        self.currentRequestID = request = self.currentRequestID + 1
        answer: Deferred[Any] = Deferred(lambda _: self._forget(request))
        seconds = self.limits.answerTime if timeout is None else timeout
        self._asked[request] = _Asked(method, answer, self._clock.callLater(seconds, self._expired, request), pages)
        head = [b"message", request, reference.luid, method.encode(), 1, [b"tuple", *positional]]
        self._write(encodeList(*map(encode, head), arguments))
        return answer

    @property
    def root(self) -> pb.RemoteReference:
        """
        What the peer may be called first.
        """
        return pb.RemoteReference(None, self, b"root", 0)

    def _remote(self, callee: Callee) -> Expression:
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

    def _expired(self, request: int) -> None:
        asked = self._asked[request]
        answer, asked.answer = asked.answer, None
        self._release(asked)
        if answer is not None:
            answer.errback(CallTimeout(f"{asked.method} was not answered in time"))

    def _forget(self, request: int) -> None:
        """
        Nobody waits any more. An answer may still come.
        """
        asked = self._asked.get(request)
        if asked is not None:
            asked.answer = None
            self._release(asked)

    def _release(self, asked: _Asked) -> None:
        if asked.timer.active():
            asked.timer.cancel()
        if asked.pages is not None:
            asked.pages.drop()

    def _takeAsked(self, request: Any) -> Deferred[Any] | None:
        asked = self._asked.pop(request, None) if type(request) is int else None
        if asked is None:
            raise Violation("answer", "it answers what it was not asked")
        self._release(asked)
        answer, asked.answer = asked.answer, None
        return answer

    def proto_answer(self, requestID: Any, netResult: Expression) -> None:
        """
        The answer to a call of ours.
        """
        answer = self._takeAsked(requestID)
        result = readResult(netResult, self)
        if isPaged(result):
            if answer is not None:
                fetching = Deferred.fromCoroutine(self._transfers.fetch(*result))
                fetching.addCallbacks(answer.callback, answer.errback)
        elif answer is not None:
            answer.callback(result)

    def proto_error(self, requestID: Any, fail: Expression) -> None:
        """
        Why there is none.
        """
        answer = self._takeAsked(requestID)
        name, text = readError(fail)
        if answer is not None:
            answer.errback(BY_NAME.get(name, CallFailed)(text))

    # The peer's calls

    def expressionReceived(self, lst: Expression) -> None:
        if type(lst) is not list or not lst or lst[0] not in _COMMANDS:
            raise Violation("malformed", "it sends what is no message")
        command = lst[0].decode()
        if len(lst) != {"message": 7, "answer": 3, "error": 3}.get(command, 2):
            raise Violation("malformed", f"it sends a malformed {command}")
        getattr(self, f"proto_{command}")(*lst[1:])

    def proto_version(self, vnum: Any) -> None:
        if vnum != self.version:
            raise Violation("malformed", f"it speaks version {vnum!r} of Perspective Broker")

    def proto_didNotUnderstand(self, command: Any) -> NoReturn:
        raise Violation("malformed", "it does not understand what it was sent")

    def proto_decref(self, objectID: Any) -> None:
        local = self.localObjects.get(objectID) if type(objectID) is int else None
        if local is None:
            raise Violation("malformed", "it lets go of what it does not have")
        if local.decref() == 0:
            del self.luids[id(local.object)]
            del self.localObjects[objectID]

    def proto_message(
        self, requestID: Any, objectID: Any, message: Any, answerRequired: Any, netArgs: Expression, netKw: Expression
    ) -> None:
        """
        A call.
        """
        if type(requestID) is not int or type(message) is not bytes or type(objectID) not in (int, bytes):
            raise Violation("malformed", "it sends a malformed call")
        if self._answering >= self.limits.calls:
            raise Violation("calls", f"it makes more than {self.limits.calls} calls at once")
        objects = readArguments(netArgs, self)
        values = fromJelly(netKw)
        if type(values) is not dict:
            raise Violation("malformed", "the arguments of a call have no names")
        name = message.decode("ascii", "replace")[:64]
        local = self.localObjects.get(objectID)
        answer = (lambda result: self._answer(requestID, result)) if answerRequired else (lambda result: None)
        refuse = self._refusing(requestID, name, bool(answerRequired))
        try:
            result = self._perform(local, name, values, objects)
            if not isinstance(result, Deferred):
                answer(result)
                return
        except Exception:
            refuse(Failure())
            return
        self._answering += 1
        result.addBoth(self._done).addCallback(answer).addErrback(refuse)

    def _perform(self, local: pb.Local | None, name: str, values: dict[str, Any], objects: list[Any]) -> Any:
        if local is None:
            raise NoSuchObject("there is no such object")
        handler: Handler | None = local.object.handlers.get(name)
        if handler is None:
            raise NoSuchMethod(f"there is no method {name!r}")
        if not isPaged(objects):
            return handler(Call(name, values, objects))
        found = handler

        def fetched(value: Any) -> Any:
            if type(value) is not dict:
                raise BadCall("the arguments of a call have no names")
            return found(Call(name, value))

        return Deferred.fromCoroutine(self._transfers.fetch(*objects)).addCallback(fetched)

    def _done(self, result: Any) -> Any:
        self._answering -= 1
        return result

    def _answer(self, request: int, result: Any) -> None:
        if type(result) in (list, tuple) and any(isinstance(each, Callee) for each in result):
            parts = [self._remote(each) if isinstance(each, Callee) else toJelly(each) for each in result]
            self.sendEncoded([b"answer", request, [b"list", *parts]])
            return
        data = encode(toJelly(result))
        if len(data) > self.limits.inline:
            pages = self._transfers.keep(data, "the answer", 2 * self.limits.pageTime)
            data = encode([b"list", self._remote(pages), pages.size, toJelly(pages.digest)])
        self._write(encodeList(encode(b"answer"), encode(request), data))

    def _refusing(self, request: int, method: str, tell: bool) -> Callable[[Failure], None]:
        def refuse(failure: Failure) -> None:
            error = failure.value
            if isinstance(error, Violation):
                self.violated(error.kind, str(error))
                return
            if not isinstance(error, CallError):
                if failure.check(ChannelLost) is None:
                    self.log.failure("{method} of {peer} failed", failure, method=method, peer=self.peerName)
                error = CallFailed(_FAILED)
            if tell and not self.disconnected:
                self.sendEncoded([b"error", request, errorExpression(error)])
            if error.ends and not self._cut:
                self._refusals.add(error.wireName.rpartition(".")[2])
                self.log.warn("{peer} is cut off: {method}: {error}", peer=self.peerName, method=method, error=error)
                self.close()

        return refuse
