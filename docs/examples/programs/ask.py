"""
Sends one datagram through a proxy, and prints the answer. python ask.py TEXT HOST:PORT PROXY
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from zope.interface import implementer

from hermes.endpoints import ProxyAddress, connectionsOf
from hermes.interfaces import IDatagramReceiver
from hermes.values import Flow, Target


@implementer(IDatagramReceiver)
class Asking:
    def __init__(self, question):
        self.question = question
        self.answer = Deferred()

    def channelConnected(self, channel):
        self.channel = channel
        channel.write([self.question])

    def datagramsReceived(self, datagrams):
        # Borrowed: what is kept is copied.
        self.answer.callback(bytes(datagrams[0]))
        self.channel.loseChannel()

    def channelLost(self, reason):
        if not self.answer.called:
            self.answer.errback(reason)


async def ask(reactor, text, target, proxy):
    dialer = connectionsOf(reactor).dialer(ProxyAddress(proxy, tls=False))
    asking = Asking(text.encode())
    await dialer.connectDatagrams(Flow("udp", Target.fromText(target)), asking)
    print((await asking.answer).decode())


react(lambda reactor, *words: Deferred.fromCoroutine(ask(reactor, *words)), sys.argv[1:])
