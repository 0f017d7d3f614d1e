"""
An HTTP client over the overlay: treq, unchanged. python fetch.py URL HOW
"""

import sys

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.task import react
from twisted.web.client import Agent
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer


@implementer(IAgentEndpointFactory)
class Overlay:
    """
    Connects every request through the overlay. For https: put twisted.internet.endpoints.wrapClientTLS around the
    endpoint.
    """

    def __init__(self, reactor, how):
        self.reactor = reactor
        self.how = how

    def endpointForURI(self, uri):
        return clientFromString(self.reactor, f"hermes:{uri.host.decode()}:{uri.port}:{self.how}")


async def fetch(reactor, url, how):
    client = HTTPClient(Agent.usingEndpointFactory(reactor, Overlay(reactor, how)))
    response = await client.get(url)
    print(response.code, (await response.text()).strip())


react(lambda reactor, *words: Deferred.fromCoroutine(fetch(reactor, *words)), sys.argv[1:])
