"""
What goes through the overlay as it is: downloads through both kinds of proxy, DNS.
"""

from __future__ import annotations

import hashlib
import statistics
import time

from overlay import Overlay
from programs import ProgressLine, fetch, resolve
from telling import console, milliseconds, showHop, title, verdict

SIZE = 64 << 20


def demonstrate(overlay: Overlay, digest: str) -> list[bool]:
    """
    Three programs. Whether each got what it should.

    @param digest: SHA-256 of the file that is fetched, in hexadecimal.
    """
    return [
        _download(overlay, "A download, as a browser does it: HTTP proxy", "http", digest),
        _download(overlay, "The same through SOCKS5", "socks5h", digest),
        _resolve(overlay),
    ]


def _download(overlay: Overlay, what: str, scheme: str, digest: str) -> bool:
    proxy = f"{scheme}://127.0.0.1:{overlay.apps}"
    title(what, f"curl -x {proxy} http://files.hermes/big | sha256sum")
    since, line = time.time(), ProgressLine()
    got = fetch("http://files.hermes/big", proxy, progress=line)
    line.clear()
    good = hashlib.sha256(got.body).hexdigest() == digest
    console.print(
        f"   {len(got.body) / 2**20:.0f} MiB in {got.seconds:.2f} s ({len(got.body) * 8 / got.seconds / 1e6:,.0f} "
        f"Mbit/s), {verdict(good, 'digest matches', f'DIGEST DIFFERS {got.error}')}"
    )
    return _showHops(overlay, "files.hermes", since, SIZE) and good


def _resolve(overlay: Overlay) -> bool:
    title("DNS over UDP", f"dig -p {overlay.dns} @127.0.0.1 www.demo.hermes")
    since = time.time()
    answers = [resolve(overlay.dns, "www.demo.hermes", number) for number in range(1, 101)]
    good = all(address == "192.0.2.80" for address, _ in answers)
    times = [seconds for _, seconds in answers]
    console.print(
        f"   www.demo.hermes is {answers[0][0]}; 100 exchanges, median {milliseconds(statistics.median(times))}, "
        f"first {milliseconds(times[0])} (with the tunnel's set-up)"
    )
    return _showHops(overlay, "dns.hermes", since, 0) and good


def _showHops(overlay: Overlay, host: str, since: float, expected: int) -> bool:
    """
    What each proxy saw of the last flow or exchange with a host. Whether C{expected} bytes, or more, came back through
    both.
    """
    last = {node: overlay.seen(node, host, since)[-1] for node in ("edge", "gateway")}
    for node, entry in last.items():
        showHop(node, entry)
    return all(entry["bytesOut"] >= expected for entry in last.values())
