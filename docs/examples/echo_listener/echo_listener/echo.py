"""
C{type: echo}: sends back what it gets.
"""

from attrs import frozen
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.fabric.listener import StreamListener
from hermes.interfaces import IListenerType


@frozen
class EchoOptions:
    """
    Its attributes are the keys in the configuration; what stands here is printed by C{hermes schema}.

    @ivar bind: C{HOST:PORT} or C{unix:PATH}.
    @ivar greeting: a line that each client gets first.
    """

    bind: str
    greeting: str = ""


@implementer(IHalfCloseableProtocol)
class Echo(Protocol):
    """
    An ordinary Twisted protocol.
    """

    def __init__(self, greeting):
        self.greeting = greeting

    def connectionMade(self):
        # A client that does not read is not read from: no memory grows.
        self.transport.registerProducer(self.transport, True)
        if self.greeting:
            self.transport.write(f"{self.greeting}\n".encode())

    def dataReceived(self, data):
        self.transport.write(data)

    def readConnectionLost(self):
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self):
        pass


class EchoListener(StreamListener):
    """
    L{StreamListener} binds, accepts, counts, drains and ends; C{accept} says what becomes of a connection.
    """

    def __init__(self, name, options, context):
        super().__init__(name, options.bind, context)
        self.greeting = options.greeting

    def accept(self, accepted):
        accepted.attach(Echo(self.greeting))


@implementer(IPlugin, IListenerType)
class EchoListenerType:
    type = "echo"
    options = EchoOptions

    def listener(self, name, options, context):
        return EchoListener(name, options, context)
