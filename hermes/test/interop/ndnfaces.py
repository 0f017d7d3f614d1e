"""
What the NDN programs of the tests have in common: python-ndn's faces from a word on the command line.
"""

from __future__ import annotations

from ndn.transport.face import Face
from ndn.transport.stream_face import TcpFace, UnixFace
from ndn.transport.udp_face import UdpFace

SEGMENT = 8000
"""
Bytes of content in a segment: with name and signature, a packet is below 8,800.
"""


def openFace(text: str) -> Face:
    """
    A face of python-ndn's own.

    @param text: C{unix:PATH}, C{tcp:HOST:PORT} or C{udp:HOST:PORT}.
    """
    transport, _, rest = text.partition(":")
    if transport == "unix":
        return UnixFace(rest)
    host, _, port = rest.rpartition(":")
    return {"tcp": TcpFace, "udp": UdpFace}[transport](host, int(port))
