"""
What a route does to heads, and the answers that it gives itself.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from hermes.errors import FlowError
from hermes.http.actions import RequestActions, changeResponse, fixedResponse, redirectResponse, rewriteRequest
from hermes.interfaces import IRequestSender
from hermes.matching import Captures, Match
from hermes.messages import Request, Response


@implementer(IRequestSender)
class Changing:
    """
    Changes requests before they are sent on, and responses before they go back.
    """

    def __init__(self, send: Callable[[Request], Deferred[Response]], actions: RequestActions, match: Match) -> None:
        """
        @param match: the route's: what its path has captured may be named.
        """
        self._send = send
        self._actions = actions
        self._match = match

    def send(self, request: Request) -> Deferred[Response]:
        captures = self._match.captures(request.head)
        rewriteRequest(self._actions, request, captures)
        response = self._send(request)
        if self._actions.responseHeaders is not None:
            response.addCallback(self._change, request, captures)
        return response

    def _change(self, response: Response, request: Request, captures: Captures) -> Response:
        response.head = changeResponse(self._actions, response.head, request, captures)
        return response


@implementer(IRequestSender)
class OwnAnswers:
    """
    Answers requests here.
    """

    def __init__(self, actions: RequestActions, match: Match) -> None:
        self._actions = actions
        self._match = match

    def send(self, request: Request) -> Deferred[Response]:
        actions = self._actions
        if request.body is not None:
            request.body.stopProducing()
        if actions.redirect is not None:
            captures = self._match.captures(request.head)
            return succeed(redirectResponse(actions.redirect, request, captures))
        if actions.respond is None:
            raise FlowError("the route answers nothing")
        return succeed(fixedResponse(actions.respond, request))
