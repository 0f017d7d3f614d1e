"""
The metrics of several processes as one, for a node with workers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

# Where a sum would say something else than each does.
_LARGEST = frozenset({"process_start_time_seconds", "process_max_fds", "hermes_build_info"})


class _Families:
    """
    What C{generate_latest} asks a registry for.
    """

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def sumMetrics(texts: Iterable[str]) -> bytes:
    """
    Add up the samples of the same name and labels.

    @param texts: expositions in Prometheus's text format.
    @return: one exposition.
    """
    merged: dict[str, Metric] = {}
    totals: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    order: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], dict[str, str]]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            samples = order.setdefault(family.name, {})
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                samples.setdefault(key, sample.labels)
                if sample.name in _LARGEST:
                    totals[key] = max(totals.get(key, sample.value), sample.value)
                else:
                    totals[key] = totals.get(key, 0.0) + sample.value
    for name, family in merged.items():
        for key, labels in order[name].items():
            family.add_sample(key[0], labels, totals[key])
    return generate_latest(_Families(merged.values()))


def sumStatus(statuses: list[dict[str, object]]) -> dict[str, object]:
    """
    The status of a node of the statuses of its workers: counts are added, lists joined, the rest is the first one's.
    """
    total: dict[str, object] = dict(statuses[0])
    for status in statuses[1:]:
        for name, value in status.items():
            total[name] = _joined(total.get(name), value)
    total["workers"] = len(statuses)
    return total


def _joined(one: object, other: object) -> object:
    if isinstance(one, bool) or isinstance(other, bool):
        return one or other
    if isinstance(one, int) and isinstance(other, int):
        return one + other
    if isinstance(one, list) and isinstance(other, list):
        return _joinedLists(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: _joined(one.get(name), other.get(name)) for name in {**one, **other}}
    return other if one is None else one


def _joinedLists(one: list[object], other: list[object]) -> list[object]:
    """
    Entries of the same name are one entry.
    """
    named: dict[Any, object] = {entry["name"]: entry for entry in one if isinstance(entry, dict) and "name" in entry}
    if not named and one:
        return one + other
    for entry in other:
        if isinstance(entry, dict) and "name" in entry:
            named[entry["name"]] = _joined(named.get(entry["name"]), entry)
        else:
            return one + other
    return list(named.values())
