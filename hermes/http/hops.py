"""
Requests sent on to the next node, as exchanges.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hermes.http.deadline import sendThroughBudget, writeBudget
from hermes.http.sender import ExchangeSender
from hermes.interfaces import IExchangeClient, IRequestSender
from hermes.messages import Request, Response
from hermes.values import Headers, RequestHead
from hermes.wire.fields import writeVia


@implementer(IRequestSender)
class HopSender:
    """
    Sends requests to another node, which is told what is left of the way.
    """

    def __init__(self, exchanges: IExchangeClient, via: tuple[str, ...], clock: IReactorTime) -> None:
        """
        @param exchanges: with the node.
        @param via: the names of the hops that come after it.
        """
        self._sender = ExchangeSender(exchanges)
        self._clock = clock
        self._fields: Headers = ((b"hermes-via", writeVia(via)),) if via else ()

    def send(self, request: Request) -> Deferred[Response]:
        if request.deadline is None and request.retriesLeft is None and request.name is None and not self._fields:
            return self._sender.send(request)
        head = request.head
        fields = (*head.headers, *self._fields, *writeBudget(request, self._clock.seconds()))
        # For this one time: whoever sends the request again sends it as it was.
        request.head = RequestHead(head.method, head.scheme, head.authority, head.path, head.protocol, fields)
        sent = self._sender.send(request)
        request.head = head
        return sendThroughBudget(request, sent)
