"""
That the tables of conformance leave out nothing that the public suite h2spec has.
"""

from __future__ import annotations

from collections import Counter
from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

TABLES = [
    ("generic", "GenericTests"),
    ("frames", "FrameTests"),
    ("frames", "StreamFrameTests"),
    ("streams", "StateTests"),
    ("streams", "StreamTests"),
    ("control", "ConnectionFrameTests"),
    ("control", "ContinuationTests"),
    ("windows", "WindowTests"),
    ("messages", "FieldTests"),
    ("messages", "MessageTests"),
    ("messages", "CompressionTests"),
    ("client_frames", "ClientFrameTests"),
    ("client_control", "ClientControlTests"),
    ("client_messages", "ClientMessageTests"),
]

# How many cases h2spec has for servers in each of its sections, which are those of RFC 7540 and RFC 7541. Those that it
# has for clients are named in the tables too.
SERVER = {
    "generic/1": 1,
    "generic/2": 5,
    "generic/3.1": 3,
    "generic/3.2": 3,
    "generic/3.3": 5,
    "generic/3.4": 1,
    "generic/3.5": 1,
    "generic/3.7": 1,
    "generic/3.8": 1,
    "generic/3.9": 2,
    "generic/3.10": 2,
    "generic/4": 4,
    "generic/5": 15,
    "http2/3.5": 2,
    "http2/4.1": 3,
    "http2/4.2": 3,
    "http2/4.3": 3,
    "http2/5.1": 13,
    "http2/5.1.1": 2,
    "http2/5.1.2": 1,
    "http2/5.3.1": 2,
    "http2/5.4.1": 2,
    "http2/5.5": 2,
    "http2/6.1": 3,
    "http2/6.2": 4,
    "http2/6.3": 2,
    "http2/6.4": 3,
    "http2/6.5": 3,
    "http2/6.5.2": 5,
    "http2/6.5.3": 2,
    "http2/6.7": 4,
    "http2/6.8": 1,
    "http2/6.9": 3,
    "http2/6.9.1": 3,
    "http2/6.9.2": 3,
    "http2/6.10": 6,
    "http2/7": 2,
    "http2/8.1": 1,
    "http2/8.1.2": 1,
    "http2/8.1.2.1": 4,
    "http2/8.1.2.2": 2,
    "http2/8.1.2.3": 7,
    "http2/8.1.2.6": 2,
    "http2/8.2": 1,
    "hpack/2.3.3": 2,
    "hpack/4.2": 1,
    "hpack/5.2": 3,
    "hpack/6.1": 1,
    "hpack/6.3": 1,
}


class CoverageTests(SynchronousTestCase):
    """
    The cases by h2spec's names.
    """

    def test_everyCaseOfH2specIsCovered(self) -> None:
        covered = set()
        for module, name in TABLES:
            tests = getattr(import_module(f"hermes.test.http2.test_conformance_{module}"), name)
            for case in tests.cases:
                covered.update(case.covers)
        server = Counter(each.rpartition("/")[0] for each in covered if not each.startswith("client/"))
        self.assertEqual(server, SERVER)
