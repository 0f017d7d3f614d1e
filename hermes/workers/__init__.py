"""
C{workers: N}: N processes that share a node's listeners, and one that looks after them.

The supervisor runs no node. It holds what the processes can't each have for themselves, starts them, starts one that
dies anew, and passes reloads and the end on to all. A TCP or UDP port is bound by each of them (C{SO_REUSEPORT}), and
the kernel shares connections and sources out. A port that the kernel chooses is chosen here, once, and kept. A Unix
socket is bound here and inherited. A worker and its supervisor talk over a socket pair (L{hermes.workers.control}).
"""

from hermes.workers.process import launch
from hermes.workers.supervisor import Supervisor
from hermes.workers.worker import WorkerService, workerIndex

__all__ = ["Supervisor", "WorkerService", "launch", "workerIndex"]
