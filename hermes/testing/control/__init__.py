"""
The control plane in memory: nodes that run nothing real, links that can be cut and slowed down, processes that can be
killed at any point, a store.
"""

from hermes.testing.control.links import MemoryLink, MemoryLinks
from hermes.testing.control.overlay import Overlay, SimulatedController, SimulatedNode
from hermes.testing.control.planner import FakePlanner, documentOf
from hermes.testing.control.process import HeapClock, ProcessClock, Stops
from hermes.testing.control.runner import FakeRunner, RunnerRefuses
from hermes.testing.control.store import MemoryStore
from hermes.testing.control.storestate import MemoryStoreState

__all__ = [
    "FakePlanner",
    "FakeRunner",
    "HeapClock",
    "MemoryLink",
    "MemoryLinks",
    "MemoryStore",
    "MemoryStoreState",
    "Overlay",
    "ProcessClock",
    "RunnerRefuses",
    "SimulatedController",
    "SimulatedNode",
    "Stops",
    "documentOf",
]
