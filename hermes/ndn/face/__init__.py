"""
Faces: the ends of links between forwarders, and between a forwarder and applications.

Everything that carries packets becomes a face by adaptation: C{INDNFace(x)} for an
L{hermes.interfaces.IDatagramChannel} (a UDP flow, a CONNECT-UDP tunnel, a WebSocket) and for a byte stream (TCP, a Unix
socket, a CONNECT tunnel). An extension registers an adapter for its own kind of transport, or makes it an
C{IDatagramChannel}.
"""

from twisted.internet.interfaces import ITransport
from twisted.python.components import registerAdapter

from hermes.interfaces import IDatagramChannel
from hermes.ndn.face.adapters import faceOfChannel, faceOfStream
from hermes.ndn.interfaces import INDNFace

registerAdapter(faceOfChannel, IDatagramChannel, INDNFace)
# IStreamTransport is one.
registerAdapter(faceOfStream, ITransport, INDNFace)
