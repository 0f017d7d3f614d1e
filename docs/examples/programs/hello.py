"""
An HTTP/2 server of a dozen lines. python hello.py PORT
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.task import react
from zope.interface import implementer

from hermes.http2.connection import ServerConnection
from hermes.interfaces import IExchangeHandler
from hermes.values import ResponseHead


@implementer(IExchangeHandler)
class Hello:
    def exchangeReceived(self, exchange):
        body = b"You asked for %s over HTTP/%s.\n" % (exchange.request.path, exchange.version.encode())
        exchange.respond(ResponseHead(200, ((b"content-length", b"%d" % len(body)),)))
        exchange.write(body)
        exchange.loseConnection()


class HelloFactory(Factory):
    def __init__(self, reactor):
        self.reactor = reactor

    def buildProtocol(self, addr):
        return ServerConnection(Hello(), self.reactor)


async def serve(reactor, port):
    await serverFromString(reactor, f"tcp:{port}:interface=127.0.0.1").listen(HelloFactory(reactor))
    print("listening", flush=True)
    await Deferred()


react(lambda reactor, port: Deferred.fromCoroutine(serve(reactor, port)), sys.argv[1:])
