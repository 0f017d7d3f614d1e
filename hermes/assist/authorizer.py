"""
C{type: authorizer}: somebody else says who may do what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from attrs import evolve, field, frozen
from attrs.validators import ge
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.assist.fetching import Fetcher, FetchFailed
from hermes.assist.options import certificates, httpURL, ownFieldNames, positive
from hermes.assist.questions import Asker, AuthorizerFailed, Input, PlainHTTP, PolicyAgent
from hermes.assist.refusals import Denied, dropBody, refusal
from hermes.assist.verdicts import Questions, Verdict, VerdictCache
from hermes.config.types import ExistingFile, FieldName, Seconds, Secret
from hermes.errors import FlowError
from hermes.interfaces import IAssistant, IAssistantContext, IAssistantType
from hermes.messages import BytesBody, Request, Response
from hermes.values import ResponseHead
from hermes.wire.fields import proxyStatus

DEFAULT_TIMEOUT: Final = Seconds(1.0)
DEFAULT_LIFETIME: Final = Seconds(5.0)
_EVERYTHING: Final[tuple[Input, ...]] = (
    "user",
    "node",
    "listener",
    "protocol",
    "method",
    "scheme",
    "host",
    "path",
    "query",
    "target",
    "source",
)


@frozen
class AuthorizerOptions:
    """
    An authorizer outside of this node, asked about each request.

    @ivar url: whom to ask. Of the Open Policy Agent, a decision: C{http://127.0.0.1:8181/v1/data/PATH}.
    @ivar protocol: C{opa}: the Open Policy Agent's REST API; C{http}: a request of its own with the head's fields,
        which 2xx allows, and whose other answers are the client's.
    @ivar inputs: what C{opa} is told. The answer is kept for requests that are the same in this.
    @ivar headers: fields of the request that it is told; left out, none with C{opa}, and C{Authorization} and C{Cookie}
        with C{http}.
    @ivar sets: fields that it may set on a request that it allows, and that routes can then match. From a client such a
        field is dropped.
    @ivar method: C{GET} or C{HEAD}, with C{http}.
    @ivar token: proves this node to C{opa}, as Bearer.
    @ivar timeout: for an answer.
    @ivar keep: how long an answer is kept; 0 for not at all.
    @ivar kept: how many answers are.
    @ivar failOpen: whether a request is let through where no answer is to be had.
    @ivar concurrent: how many questions are asked at once.
    @ivar waiting: how many more wait; a request beyond is refused with 503, also with C{failOpen}.
    @ivar trust: certificates (PEM) that the server of C{url} is checked against; left out, those of the system.
    """

    url: str = field(validator=httpURL)
    protocol: Literal["opa", "http"] = "opa"
    inputs: tuple[Input, ...] = _EVERYTHING
    headers: tuple[FieldName, ...] | None = None
    sets: tuple[FieldName, ...] = field(default=(), validator=ownFieldNames)
    method: Literal["GET", "HEAD"] = "GET"
    token: Secret | None = field(default=None, repr=False)
    timeout: Seconds = field(default=DEFAULT_TIMEOUT, validator=positive)
    keep: Seconds = DEFAULT_LIFETIME
    kept: int = field(default=10_000, validator=ge(1))
    failOpen: bool = False
    concurrent: int = field(default=64, validator=ge(1))
    waiting: int = field(default=1024, validator=ge(0))
    trust: ExistingFile | None = field(default=None, validator=certificates)

    def __attrs_post_init__(self) -> None:
        if self.protocol == "http" and (self.token is not None or self.inputs != _EVERYTHING):
            raise ValueError("'token' and 'inputs' go only with 'protocol: opa'")
        if self.protocol == "opa" and self.method != "GET":
            raise ValueError("'method' goes only with 'protocol: http'")
        if self.trust is not None and urlsplit(self.url).scheme != "https":
            raise ValueError("'trust' goes only with an https: URL")


@implementer(IAssistant)
class Authorizer:
    """
    Asks about each request, and does what it is told. Where there is no answer, the request is refused, unless it is
    said otherwise.

    @ivar denied: how many requests were.
    @ivar failures: how often there was no answer.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        nodeName: str,
        asker: Asker,
        questions: Questions,
        sets: frozenset[bytes],
        failOpen: bool = False,
        finish: Callable[[], Deferred[None]] | None = None,
    ) -> None:
        """
        @param name: of this component.
        @param sets: fields that only its answers set.
        @param failOpen: whether no answer is as good as yes.
        @param finish: called in the end.
        """
        self.denied = 0
        self.failures = 0
        self._name = name
        self._nodeName = nodeName
        self._asker = asker
        self._questions = questions
        self._sets = sets
        self._failOpen = failOpen
        self._finish = finish
        self._failing = False

    def assist(self, request: Request, onward: Callable[[Request], Deferred[Response]]) -> Deferred[Response]:
        if self._sets:
            self._setFields(request, Verdict(True))
        return Deferred.fromCoroutine(self._assist(request, onward))

    async def _assist(self, request: Request, onward: Callable[[Request], Deferred[Response]]) -> Response:
        try:
            verdict = await self._ask(request)
        except (AuthorizerFailed, FetchFailed) as error:
            self._failed(error)
            if not self._failOpen:
                dropBody(request)
                raise AuthorizerFailed("the authorizer does not answer") from error
            return await onward(request)
        except FlowError:
            dropBody(request)
            raise
        self._failing = False
        if not verdict.allowed:
            return self._refusal(request, verdict)
        if verdict.headers:
            self._setFields(request, verdict)
        return await onward(request)

    async def _ask(self, request: Request) -> Verdict:
        """
        The first verdict, or the first that does not allow it.
        """
        verdicts = []
        for question in self._asker.questions(request):
            verdict = await self._questions.ask(question, partial(self._asker.ask, question))
            if not verdict.allowed:
                return verdict
            verdicts.append(verdict)
        return verdicts[0]

    def _setFields(self, request: Request, verdict: Verdict) -> None:
        head = request.head
        kept = tuple([pair for pair in head.headers if pair[0] not in self._sets])
        if verdict.headers or len(kept) != len(head.headers):
            request.head = evolve(head, headers=kept + verdict.headers)

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        if not self._failing:
            # Once, not for each request, until it answers again.
            self._failing = True
            self.log.warn("{name}: the authorizer does not answer: {reason}", name=self._name, reason=str(error))

    def _refusal(self, request: Request, verdict: Verdict) -> Response:
        self.denied += 1
        if not verdict.response:
            error = Denied(verdict.body.decode("utf-8", "replace").strip() or "denied by policy")
            error.status = verdict.status
            return refusal(request, self._nodeName, error)
        dropBody(request)
        error = Denied(f"the authorizer answered {verdict.status}")
        request.record.failed(error)
        fields = (
            *verdict.response,
            (b"proxy-status", proxyStatus(self._nodeName, error.proxyStatus, None, verdict.status)),
            (b"content-length", b"%d" % len(verdict.body)),
        )
        body = BytesBody(verdict.body) if verdict.body and request.head.method != b"HEAD" else None
        return Response(ResponseHead(verdict.status, fields), body)

    def status(self) -> Mapping[str, Any]:
        return {"denied": self.denied, "failures": self.failures, "asking": len(self._questions)}

    async def _close(self) -> None:
        if self._finish is not None:
            await self._finish()

    def close(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._close())


@implementer(IPlugin, IAssistantType)
class AuthorizerType:
    """
    C{type: authorizer}.
    """

    type = "authorizer"
    options = AuthorizerOptions

    def assistant(self, name: str, options: Any, context: IAssistantContext) -> IAssistant:
        reactor = context.reactor
        fetcher = Fetcher(reactor, options.timeout, options.concurrent, options.trust)
        sets = frozenset(name.encode("ascii") for name in options.sets)
        asker: Asker
        if options.protocol == "opa":
            headers = _encoded(options.headers or ())
            asker = PolicyAgent(fetcher, options.url, options.inputs, headers, sets, options.token)
        else:
            headers = _encoded(("authorization", "cookie") if options.headers is None else options.headers)
            asker = PlainHTTP(fetcher, options.url, options.method.encode("ascii"), headers, sets)
        cache = VerdictCache(reactor.seconds, options.keep, options.kept)
        questions = Questions(cache, options.concurrent, options.waiting)
        return Authorizer(name, context.nodeName, asker, questions, sets, options.failOpen, fetcher.close)


def _encoded(names: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(name.encode("ascii") for name in names)
