"""
Why a packet is not believed.
"""

from __future__ import annotations

from hermes.errors import HermesError


class Untrusted(HermesError):
    """
    A packet's signature is wrong, or its key is nobody's who may sign it. The text says why, for a log.
    """
