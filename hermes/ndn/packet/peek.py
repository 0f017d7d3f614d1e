"""
What a forwarder reads of a packet, without decoding the rest.
"""

from __future__ import annotations

from hermes.ndn.packet.peekdata import DataView, peekData
from hermes.ndn.packet.peekinterest import InterestView, marked, peekInterest

__all__ = ["DataView", "InterestView", "marked", "peekData", "peekInterest"]
