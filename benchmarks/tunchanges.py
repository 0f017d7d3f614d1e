#!/usr/bin/env python3
"""
What it costs packets that routes move and proxies restart or die under 2,000 packets a second each way: the tests of
that, so slow that twenty moves of a route take half a minute, and what came of each printed.

    benchmarks/tunchanges.py [--seconds SECONDS]

Of each: how many were sent, how many of them were lost or came twice, and the longest time in milliseconds in which
nothing came. Where the only proxy starts anew, also how long after it was ready the first packet came, in milliseconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from typing import Any

from twisted.scripts import trial

from hermes.test.interop.ipservers import MARK
from hermes.test.interop.test_ip_changes import RATE, ChangeTests


def tell(what: str, result: dict[str, Any]) -> None:
    print(f"\n{what}: " + ", ".join(f"{name} {value}" for name, value in result.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long twenty moves take at least")
    ChangeTests.marks = round(parser.parse_args().seconds * RATE / MARK / 20)
    ChangeTests.tell = staticmethod(tell)
    with tempfile.TemporaryDirectory() as directory:
        sys.argv[1:] = [f"--temp-directory={directory}/trial", ChangeTests.__module__]
        trial.run()


if __name__ == "__main__":
    main()
