"""
Requests sent to their own targets.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hermes.errors import NotImplementedHere
from hermes.http.dialed import DialedEndpoint
from hermes.http.sender import ExchangeSender
from hermes.http1.client import HTTP1Client
from hermes.interfaces import IDialer, IRequestSender
from hermes.messages import Request, Response
from hermes.values import Flow, Target

MAX_ORIGINS: Final = 1024
"""
Origins whose connections are kept for a next request.
"""


@implementer(IRequestSender)
class Origins:
    """
    Keeps connections to each target.
    """

    def __init__(self, dialer: IDialer, clock: IReactorTime) -> None:
        self._dialer = dialer
        self._clock = clock
        self._origins: OrderedDict[Target, tuple[HTTP1Client, ExchangeSender]] = OrderedDict()

    def send(self, request: Request) -> Deferred[Response]:
        if request.head.scheme != b"http":
            return fail(NotImplementedHere("only http: is sent on; for https: use CONNECT"))
        target = request.flow.target
        found = self._origins.get(target)
        if found is None:
            client = HTTP1Client(DialedEndpoint(self._dialer, Flow("http", target)), self._clock)
            found = self._origins[target] = client, ExchangeSender(client)
            if len(self._origins) > MAX_ORIGINS:
                _, (oldest, _) = self._origins.popitem(last=False)
                oldest.close()
        else:
            self._origins.move_to_end(target)
        return found[1].send(request)
