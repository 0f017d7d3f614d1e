"""
Prometheus metrics of forwarders of Named Data Networking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from weakref import ref

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

_PACKETS: Final = "hermes_ndn_packets"
_BYTES: Final = "hermes_ndn_bytes"
_MOVED: Final = {
    "inInterests": (_PACKETS, "in", "interest"),
    "inData": (_PACKETS, "in", "data"),
    "inNacks": (_PACKETS, "in", "nack"),
    "outInterests": (_PACKETS, "out", "interest"),
    "outData": (_PACKETS, "out", "data"),
    "outNacks": (_PACKETS, "out", "nack"),
    "inBytes": (_BYTES, "in"),
    "outBytes": (_BYTES, "out"),
    "droppedPackets": ("hermes_ndn_dropped",),
    "malformedPackets": ("hermes_ndn_malformed",),
    "fragmentsDropped": ("hermes_ndn_fragments_dropped",),
    "retransmittedPackets": ("hermes_ndn_retransmitted",),
    "lostPackets": ("hermes_ndn_given_up",),
    "congestionMarks": ("hermes_ndn_congestion_marks",),
}
"""
What a face counts: the family, and the labels beside its own.
"""

_COUNTERS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    _PACKETS: ("Interests, Data and Nacks that faces received and sent.", ("face", "direction", "packet")),
    _BYTES: ("Bytes of link packets that faces received and sent.", ("face", "direction")),
    "hermes_ndn_dropped": (
        "Link packets that never left, as the link was down or its queue full; and those that came faster than they"
        " could be dealt with, by a tunnel for datagrams.",
        ("face",),
    ),
    "hermes_ndn_malformed": ("What has come and was no packet, or not one that a face may send.", ("face",)),
    "hermes_ndn_fragments_dropped": ("Fragments whose packet never became whole.", ("face",)),
    "hermes_ndn_retransmitted": ("Link packets that were sent once more (reliability).", ("face",)),
    "hermes_ndn_given_up": ("Packets that were lost all the same (reliability).", ("face",)),
    "hermes_ndn_congestion_marks": ("Packets that were marked because others waited before them.", ("face",)),
    "hermes_ndn_faces_refused": ("Faces that were one too many.", ()),
    "hermes_ndn_interests": ("Interests that were pending, by what became of them.", ("result",)),
    "hermes_ndn_not_forwarded": ("Packets that went nowhere, by why.", ("reason",)),
    "hermes_ndn_pit_refused": ("Interests that there was no room for.", ()),
    "hermes_ndn_pit_evicted": ("Pending Interests that had to make room.", ()),
    "hermes_ndn_store_lookups": ("Interests that were looked up in the Content Store.", ("result",)),
    "hermes_ndn_store_evicted": ("Packets of the Content Store that have made room for others.", ()),
}

_GAUGES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "hermes_ndn_faces": ("Faces that there are.", ("face",)),
    "hermes_ndn_faces_up": ("Faces whose link is up.", ("face",)),
    "hermes_ndn_pit_entries": ("Names in the PIT.", ()),
    "hermes_ndn_pit_bytes": ("What pending Interests count against their bound.", ()),
    "hermes_ndn_fib_entries": ("Prefixes in the FIB.", ()),
    "hermes_ndn_store_packets": ("Packets in the Content Store.", ()),
    "hermes_ndn_store_bytes": ("What they count against its bound.", ()),
    "hermes_ndn_strategy_prefixes": ("Prefixes that a strategy was chosen for.", ("strategy",)),
}

_Sample = tuple[str, ...]
"""
The family, and the values of its labels after C{listener}.
"""


class NameMetrics:
    """
    Reads what forwarders have counted when somebody asks. What one has counted stays counted when a reload has made its
    listener anew.
    """

    def __init__(self, forwarders: Callable[[], Mapping[str, Any]], registry: CollectorRegistry) -> None:
        """
        @param forwarders: gives those that there are, by the name of their listener: what has C{counts}, as
            L{hermes.ndn.service.NameService.counts}.
        """
        self._forwarders = forwarders
        # By listener: what its forwarders that are gone have counted; and the one that there is, and what it had when
        # last asked.
        self._gone: dict[str, Counter[_Sample]] = {}
        self._seen: dict[str, tuple[ref[Any], dict[_Sample, int]]] = {}
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """
        The families.
        """
        gauges: dict[str, dict[_Sample, int]] = {}
        forwarders = self._forwarders()
        for listener in self._seen.keys() - forwarders.keys():
            self._end(listener)
        for listener, forwarder in forwarders.items():
            seen = self._seen.get(listener)
            if seen is not None and seen[0]() is not forwarder:
                self._end(listener)
            counts = forwarder.counts()
            gauges[listener] = _gauges(counts)
            self._seen[listener] = ref(forwarder), _counters(counts)
        counters = {listener: gone.copy() for listener, gone in self._gone.items()}
        for listener, (_, now) in self._seen.items():
            counters.setdefault(listener, Counter()).update(now)
        for kind, told, values in (CounterMetricFamily, _COUNTERS, counters), (GaugeMetricFamily, _GAUGES, gauges):
            for name, (documentation, labels) in told.items():
                family = kind(name, documentation, labels=["listener", *labels])
                for listener, samples in sorted(values.items()):
                    for (of, *rest), value in sorted(samples.items()):
                        if of == name:
                            family.add_metric([listener, *rest], value)
                yield family

    def _end(self, listener: str) -> None:
        """
        A forwarder is gone.
        """
        _, counted = self._seen.pop(listener)
        self._gone.setdefault(listener, Counter()).update(counted)


def _counters(counts: Mapping[str, Any]) -> dict[_Sample, int]:
    pit, store = counts["pit"], counts["store"]
    samples: dict[_Sample, int] = {
        ("hermes_ndn_faces_refused",): counts["facesRefused"],
        ("hermes_ndn_pit_refused",): pit["refused"],
        ("hermes_ndn_pit_evicted",): pit["evicted"],
        ("hermes_ndn_store_lookups", "hit"): store["hits"],
        ("hermes_ndn_store_lookups", "miss"): store["misses"],
        ("hermes_ndn_store_evicted",): store["evicted"],
    }
    for result, count in counts["interests"].items():
        samples["hermes_ndn_interests", result] = count
    for reason, count in counts["notForwarded"].items():
        samples["hermes_ndn_not_forwarded", reason] = count
    for face, counted in counts["faces"].items():
        for key, (family, *labels) in _MOVED.items():
            samples[family, face, *labels] = counted[key]
    return samples


def _gauges(counts: Mapping[str, Any]) -> dict[_Sample, int]:
    pit, store = counts["pit"], counts["store"]
    samples: dict[_Sample, int] = {
        ("hermes_ndn_pit_entries",): pit["entries"],
        ("hermes_ndn_pit_bytes",): pit["bytes"],
        ("hermes_ndn_fib_entries",): counts["fib"],
        ("hermes_ndn_store_packets",): store["packets"],
        ("hermes_ndn_store_bytes",): store["bytes"],
    }
    for strategy, count in counts["strategies"].items():
        samples["hermes_ndn_strategy_prefixes", strategy] = count
    for face, counted in counts["faces"].items():
        samples["hermes_ndn_faces", face] = counted["faces"]
        samples["hermes_ndn_faces_up", face] = counted["up"]
    return samples
