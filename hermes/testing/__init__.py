"""
Public fakes and tools for tests: HTTP exchanges in memory, and impaired links between real sockets.
"""

from hermes.testing.memory import (
    CONNECT_ERROR,
    MemoryClientExchange,
    MemoryExchange,
    MemoryServerExchange,
)
from hermes.testing.network import MemoryExchangeClient, MemoryNetwork

__all__ = [
    "CONNECT_ERROR",
    "MemoryClientExchange",
    "MemoryExchange",
    "MemoryExchangeClient",
    "MemoryNetwork",
    "MemoryServerExchange",
]
