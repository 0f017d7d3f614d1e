"""
The metrics of several processes as one, for a node with workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hermes.admin.pools import ROUND_TRIP

# What only grows; gauges and what is told about a process end with it.
_CUMULATIVE = frozenset({"counter", "histogram", "summary"})
_CREATED = "_created"
_STARTED = "process_start_time_seconds"

# Where a sum would say something else than each does.
_LARGEST = frozenset({"process_start_time_seconds", "process_max_fds", "hermes_build_info", ROUND_TRIP})

# How an endpoint may be, the best first.
_STATES = ("up", "down", "ejected", "unhealthy")


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
                if sample.name.endswith(_CREATED):
                    totals[key] = min(totals.get(key, sample.value), sample.value)
                elif sample.name in _LARGEST:
                    totals[key] = max(totals.get(key, sample.value), sample.value)
                else:
                    totals[key] = totals.get(key, 0.0) + sample.value
    for name, family in merged.items():
        for key, labels in order[name].items():
            family.add_sample(key[0], labels, totals[key])
    return generate_latest(_Families(merged.values()))


class Ledger:
    """
    The metrics of processes that come and go, as one. What a process has counted stays counted when it is gone: a sum
    that fell would look like a restart, after which Prometheus counts all of it once more.
    """

    def __init__(self) -> None:
        self._last: dict[str, str] = {}
        self._gone = ""

    def sum(self, texts: Mapping[str, str]) -> bytes:
        """
        @param texts: the expositions of the processes that run, by their places. Another process in a place is told by
            when it started.
        @return: one exposition.
        """
        for place, text in texts.items():
            last = self._last.get(place)
            if last is not None and _startOf(last) != _startOf(text):
                self._gone = sumMetrics([self._gone, _cumulative(last)]).decode()
            self._last[place] = text
        absent = [_cumulative(text) for place, text in self._last.items() if place not in texts]
        return sumMetrics([*texts.values(), *absent, self._gone])


def _startOf(text: str) -> float | None:
    for family in text_string_to_metric_families(text):
        if family.name == _STARTED:
            return float(family.samples[0].value)
    return None


def _cumulative(text: str) -> str:
    """
    What of an exposition only grows.
    """
    families = [family for family in text_string_to_metric_families(text) if family.type in _CUMULATIVE]
    return str(generate_latest(_Families(families)).decode())


def sumStatus(statuses: list[dict[str, object]]) -> dict[str, object]:
    """
    The status of a node of the statuses of its workers: counts are added, lists joined, of an endpoint's states the
    worst counts, the rest is the first one's.
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
        joined = {name: _joined(one.get(name), other.get(name)) for name in {**one, **other}}
        return _worst(joined, one, other) if "state" in one and "state" in other else joined
    return other if one is None else one


def _worst(joined: dict[str, object], one: dict[str, object], other: dict[str, object]) -> dict[str, object]:
    """
    An endpoint is as well as it is for the worker that gets on with it worst: the others may not have tried.
    """
    joined["state"] = max(str(one["state"]), str(other["state"]), key=_STATES.index)
    joined["healthy"] = one.get("healthy") is True and other.get("healthy") is True
    return joined


def _joinedLists(one: list[object], other: list[object]) -> list[object]:
    """
    Entries of the same name, or else of the same address, are one entry.
    """
    if not all(_key(entry) for entry in one + other):
        return one + other
    known: dict[Any, object] = {_key(entry): entry for entry in one}
    for entry in other:
        known[_key(entry)] = _joined(known.get(_key(entry)), entry)
    return list(known.values())


def _key(entry: object) -> object:
    return (entry.get("name") or entry.get("address")) if isinstance(entry, dict) else None
