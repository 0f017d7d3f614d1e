"""
Public fakes and tools for tests: HTTP exchanges, TUN devices and netlink in memory, and impaired links between real
sockets.
"""

from hermes.testing.memory import (
    CONNECT_ERROR,
    MemoryClientExchange,
    MemoryExchange,
    MemoryServerExchange,
)
from hermes.testing.netlink import MemoryNetlink
from hermes.testing.network import MemoryExchangeClient, MemoryNetwork
from hermes.testing.tun import MemoryTun, MemoryTunKernel

__all__ = [
    "CONNECT_ERROR",
    "MemoryClientExchange",
    "MemoryExchange",
    "MemoryExchangeClient",
    "MemoryNetlink",
    "MemoryNetwork",
    "MemoryServerExchange",
    "MemoryTun",
    "MemoryTunKernel",
]
