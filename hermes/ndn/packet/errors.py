"""
What a codec raises.
"""

from __future__ import annotations


class PacketError(ValueError):
    """
    Bytes that are not what the packet format allows. Nothing else is raised for what a peer has sent. The text is fit
    for a log: it names no secret.
    """
