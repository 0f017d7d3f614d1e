"""
C{type: asked}: the first line that a client sends says where it wants to go, C{HOST:PORT}. What follows is a flow to
there, which the node's routes decide about as about any other.
"""

from attrs import field, frozen
from attrs.validators import gt
from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Protocol
from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.errors import FlowError
from hermes.fabric.listener import StreamListener
from hermes.interfaces import IListenerType
from hermes.proxied import handOver, sourceOf
from hermes.values import Flow, Target

LONGEST_LINE = 300


@frozen
class AskedOptions:
    """
    @ivar bind: C{HOST:PORT} or C{unix:PATH}.
    @ivar patience: seconds that a client has for its line.
    """

    bind: str
    patience: float = field(default=10.0, validator=gt(0))


class Asked(Protocol):
    """
    Reads the line. Then the flow's own protocol takes its place.
    """

    def __init__(self, listener):
        self.listener = listener
        self.context = listener.context
        self.start = b""
        self.opening = None

    def connectionMade(self):
        self.timer = self.context.reactor.callLater(self.listener.patience, self.transport.abortConnection)

    def dataReceived(self, data):
        self.start += data
        line, end, rest = self.start.partition(b"\n")
        if not end:
            if len(line) > LONGEST_LINE:
                self.transport.abortConnection()
            return
        self.timer.cancel()
        try:
            target = Target.fromText(line.decode("ascii", "replace").strip())
        except ValueError as error:
            self.refuse(error)
            return
        # Nothing more is read until somebody wants it.
        self.transport.pauseProducing()
        flow = Flow("tcp", target, sourceOf(self.transport), listener=self.listener.name)
        self.opening = self.context.flows.openStream(flow)
        self.opening.addCallbacks(self.opened, self.failed, callbackArgs=[rest])

    def opened(self, near, rest):
        self.opening = None
        handOver(self.transport, near, rest)

    def failed(self, failure):
        self.opening = None
        # Cancelled: the client went away.
        if failure.trap(FlowError, CancelledError) is FlowError:
            self.refuse(failure.value)

    def refuse(self, error):
        self.transport.write(f"{error}\n".encode())
        self.transport.loseConnection()

    def connectionLost(self, reason):
        if self.timer.active():
            self.timer.cancel()
        if self.opening is not None:
            self.opening.cancel()


class AskedListener(StreamListener):
    """
    Any number of targets behind one port.
    """

    def __init__(self, name, options, context):
        super().__init__(name, options.bind, context)
        self.patience = options.patience

    def accept(self, accepted):
        accepted.attach(Asked(self))


@implementer(IPlugin, IListenerType)
class AskedListenerType:
    type = "asked"
    options = AskedOptions

    def listener(self, name, options, context):
        return AskedListener(name, options, context)
