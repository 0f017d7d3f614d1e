"""
What proxies do for programs that speak HTTP: they answer from a cache, go on to another server, know who may.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from overlay import Overlay
from programs import Fetched, fetch
from telling import console, milliseconds, showHop, title, verdict

REQUESTS = 400
AT_ONCE = 8
CREDENTIAL = "alice:wonderland"


def demonstrate(overlay: Overlay) -> list[bool]:
    """
    Three things that no program has to know of. Whether each came true.
    """
    return [_cached(overlay), _failedOver(overlay), _forOneUser(overlay)]


def commands(overlay: Overlay) -> list[str]:
    """
    The same, to type by hand.
    """
    proxy = f"127.0.0.1:{overlay.apps}"
    return [
        f"curl -s -o /dev/null -D - -x http://{proxy} http://news.hermes/photo | grep -i cache-status",
        f"for i in 1 2 3 4; do curl -s -x http://{proxy} http://shop.hermes/who; done",
        f"curl -si -x http://{proxy} http://staff.hermes/hello",
        f"curl -s -x http://{CREDENTIAL}@{proxy} http://staff.hermes/hello",
    ]


def _cached(overlay: Overlay) -> bool:
    proxy = f"http://127.0.0.1:{overlay.apps}"
    url = "http://news.hermes/photo"
    title("A cache at edge: the same file twice", f"curl -s -o photo -D - -x {proxy} {url} | grep -i cache-status")
    since = time.time()
    first, second = fetch(url, proxy), fetch(url, proxy)
    for which, got in (("first", first), ("second", second)):
        status = got.headers.get("cache-status", got.error or "-")
        console.print(f"   {which:7}{milliseconds(got.seconds):>10}   cache-status: {status}", markup=False)
    asked = overlay.printed("files").count("GET /photo ")
    good = asked == 1 and "; hit" in second.headers.get("cache-status", "") and first.body == second.body != b""
    console.print(
        f"   the origin saw {asked} request{'s'[asked == 1 :]}, {verdict(good, 'as it should', 'NOT 1 AND A HIT')}"
    )
    for node, count in (("edge", 2), ("gateway", 1)):
        for entry in overlay.seen(node, "news.hermes", since, count):
            showHop(node, entry)
    return good


def _failedOver(overlay: Overlay) -> bool:
    proxy = f"http://127.0.0.1:{overlay.apps}"
    url = "http://shop.hermes/who"
    title("Two servers, one of which dies", f"curl -s -x {proxy} {url}      # {REQUESTS} times, {AT_ONCE} at once")
    since = time.time()

    def one(number: int) -> Fetched:
        if number == REQUESTS // 2:
            overlay.kill("two")
        return fetch(url, proxy)

    with ThreadPoolExecutor(AT_ONCE) as programs:
        got = list(programs.map(one, range(REQUESTS)))
    failed = [each for each in got if each.status != 200 or each.error]
    by = Counter(each.body.decode().strip() for each in got if each.status == 200)
    entries = overlay.seen("gateway", "shop.hermes", since, REQUESTS)
    again = sum(entry["tries"] > 1 for entry in entries)
    good = not failed and set(by) == {"one", "two"}
    console.print(
        f"   server two was killed after {REQUESTS // 2}: {by['one']} answered by one, {by['two']} by two, "
        f"{again} sent to the other one then, {verdict(good, 'none failed', f'{len(failed)} FAILED')}"
    )
    return good


def _forOneUser(overlay: Overlay) -> bool:
    proxy = f"127.0.0.1:{overlay.apps}"
    url = "http://staff.hermes/hello"
    title("A route for one user", f"curl -x http://{CREDENTIAL}@{proxy} {url}")
    results = []
    for who, credential, expected in (
        ("nobody", "", 403),
        ("alice, with a wrong password", "alice:rabbit", 407),
        ("alice", CREDENTIAL, 200),
    ):
        got = fetch(url, f"http://{proxy}", credential)
        good = got.status == expected
        results.append(good)
        console.print(
            f"   {who:30}{got.status} {got.body.decode().strip()}, {verdict(good, 'as it should', f'NOT {expected}')}"
        )
    return all(results)
