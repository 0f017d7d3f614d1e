"""
From a transport to a face: what C{INDNFace(transport)} does.
"""

from __future__ import annotations

from typing import Any

from hermes.interfaces import IDatagramChannel
from hermes.ndn.face.face import Face
from hermes.ndn.face.streamchannel import StreamChannel
from hermes.ndn.face.uri import ofAddress


def faceOfChannel(channel: IDatagramChannel) -> Face:
    """
    A face over datagrams, or over whatever else is a channel of whole packets.

    It is on-demand and not local; whoever knows better says so. It starts once a face table takes it in.
    """
    return Face(channel, _uri("udp", channel, "getPeer"), _uri("udp", channel, "getHost"))


def faceOfStream(transport: Any) -> Face:
    """
    A face over a byte stream (an L{hermes.interfaces.IStreamTransport}, or a transport of Twisted's own), which nobody
    reads from yet.
    """
    return Face(StreamChannel(transport), _uri("tcp", transport, "getPeer"), _uri("tcp", transport, "getHost"))


def _uri(transport: str, link: Any, method: str) -> str:
    """
    One end, as far as the link knows its own.
    """
    address = getattr(link, method, None)
    return f"{transport}://" if address is None else ofAddress(transport, address())
