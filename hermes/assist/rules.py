"""
C{type: rules}: who may do what, told in the match language of the routes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from attrs import frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.assist.refusals import Denied, dropBody
from hermes.errors import FlowError
from hermes.interfaces import IAssistant, IAssistantContext, IAssistantType
from hermes.matching import Match
from hermes.messages import Request, Response


@frozen
class Rule:
    """
    One rule. Exactly one of C{allow} and C{deny} is given.

    @ivar match: which requests, as in routes.
    @ivar allow: C{true}: they are allowed.
    @ivar deny: they are refused, for this reason.
    """

    match: Match
    allow: bool = False
    deny: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.allow == (self.deny is not None):
            raise ValueError("say 'allow: true', or 'deny: REASON'")


@frozen
class RulesOptions:
    """
    Rules of this node's own: the first that takes a request decides.

    @ivar rules: the rules, in order.
    @ivar otherwise: what becomes of requests that none of them takes.
    """

    rules: tuple[Rule, ...]
    otherwise: Literal["allow", "deny"] = "deny"


@implementer(IAssistant)
class Rules:
    """
    @ivar denied: how many requests were.
    """

    def __init__(self, rules: Sequence[Rule], allowed: bool = False) -> None:
        """
        @param allowed: whether what no rule takes is.
        """
        self.denied = 0
        self._rules = tuple(rules)
        self._allowed = allowed

    def assist(self, request: Request, onward: Callable[[Request], Deferred[Response]]) -> Deferred[Response]:
        try:
            reason = self.refusal(request)
        except FlowError:
            # The rules are not of one mind about what is asked.
            self.denied += 1
            dropBody(request)
            return fail()
        if reason is None:
            return onward(request)
        self.denied += 1
        dropBody(request)
        return fail(Denied(reason))

    def refusal(self, request: Request) -> str | None:
        """
        Why a request is denied; L{None} where it is not.

        @raise FlowError: where that can't be told.
        """
        flow, head = request.flow, request.head
        for rule in self._rules:
            if rule.match.takes(flow, head):
                return rule.deny
        return None if self._allowed else "no rule allows it"

    def status(self) -> Mapping[str, Any]:
        return {"rules": len(self._rules), "denied": self.denied}

    def close(self) -> Deferred[None]:
        return succeed(None)


@implementer(IPlugin, IAssistantType)
class RulesType:
    """
    C{type: rules}.
    """

    type = "rules"
    options = RulesOptions

    def assistant(self, name: str, options: Any, context: IAssistantContext) -> IAssistant:
        return Rules(options.rules, options.otherwise == "allow")
