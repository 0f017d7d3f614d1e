"""
Longest prefix match alone, in a process of its own: C{ndntables.py hermes|python-ndn COUNT}. Prints JSON: microseconds
a lookup, the table's memory.

Both get names as their own parser leaves them: for us the bytes of a name and where its components end, for python-ndn
a list of views of the components.
"""

from __future__ import annotations

import gc
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

LOOKUPS = 20_000
ROUNDS = 5
WORKING_SET = 1000


def prefixes(count: int, rng: random.Random) -> list[list[bytes]]:
    """
    So many prefixes of two to four components.
    """
    words = [b"\x08%c%b" % (len(word), word) for word in (b"%x" % rng.getrandbits(24) for _ in range(4000))]
    found: dict[bytes, list[bytes]] = {}
    while len(found) < count:
        components = rng.choices(words, k=rng.randint(2, 4))
        found[b"".join(components)] = components
    return list(found.values())


def hermes(names: list[list[bytes]]) -> Callable[[list[list[bytes]]], tuple[Callable[..., Any], list[Any]]]:
    from hermes.ndn.forwarder.prefixtable import PrefixTable, endsOf

    table: PrefixTable[int] = PrefixTable()
    for number, components in enumerate(names):
        table.set(b"".join(components), number + 1)

    def queries(asked: list[list[bytes]]) -> tuple[Callable[..., Any], list[Any]]:
        wires = [b"".join(components) for components in asked]
        return table.longest, [(wire, tuple(endsOf(wire))) for wire in wires]

    return queries


def pythonNDN(names: list[list[bytes]]) -> Callable[[list[list[bytes]]], tuple[Callable[..., Any], list[Any]]]:
    from ndn.name_tree import NameTrie

    trie = NameTrie()
    for number, components in enumerate(names):
        trie[components] = number

    def queries(asked: list[list[bytes]]) -> tuple[Callable[..., Any], list[Any]]:
        views = []
        for components in asked:
            wire, parts, position = memoryview(b"".join(components)), [], 0
            for component in components:
                parts.append(wire[position : position + len(component)])
                position += len(component)
            views.append((parts,))
        return trie.longest_prefix, views

    return queries


def measure(make: Callable[..., Any], count: int) -> dict[str, float]:
    rng = random.Random(count)
    names = prefixes(count, rng)
    gc.collect()
    gc.disable()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    queries = make(names)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    words = [component for components in names[:1000] for component in components]

    def asked(among: list[list[bytes]]) -> list[list[bytes]]:
        return [[*rng.choice(among), *rng.choices(words, k=rng.randint(1, 4))] for _ in range(LOOKUPS)]

    result = {"memory": memory}
    for label, among in (("any", names), ("some", rng.sample(names, min(count, WORKING_SET)))):
        best = 1e9
        for _ in range(ROUNDS):
            # Made anew each time: a hash is computed once for each packet.
            lookup, arguments = queries(asked(among))
            started = time.perf_counter()
            for each in arguments:
                lookup(*each)
            best = min(best, (time.perf_counter() - started) / LOOKUPS * 1e6)
        result[label] = best
    return result


if __name__ == "__main__":
    print(json.dumps(measure({"hermes": hermes, "python-ndn": pythonNDN}[sys.argv[1]], int(sys.argv[2]))))
