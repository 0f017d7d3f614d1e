#!/usr/bin/env python3
"""
What it costs to decide which route takes a request, with 10 to 10,000 routes, beside trying them one after the other.

    benchmarks/routes.py [--seconds SECONDS]

Routes ask for a host and a path, a wildcard host, a path, a template, a user and a method, a value of a header field,
a parameter, a network, a regular expression under a host: each a kind in turn, and every kind is looked at for every
request. Requests are 2,000 different ones, each for one of the routes, chosen at random. The last column is the cost of
a decision as a multiple of that with 10 routes. What counts is the process's own time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

from hermes.fabric.router import Route, Router
from hermes.matching import Match
from hermes.values import Flow, Identity, RequestHead, Target

COUNTS = (10, 100, 1_000, 10_000)
FIELDS = (
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64)"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, br"),
    (b"cookie", b"session=0123456789abcdef; theme=dark"),
    (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
)

Asked = tuple[Flow, RequestHead]


def asked(
    host: str = "other.example",
    path: str = "/api/v1/orders/7?limit=10",
    user: str | None = None,
    tenant: str | None = None,
    source: str = "192.0.2.7",
) -> Asked:
    """
    A request as a listener hands it on.
    """
    fields = FIELDS if tenant is None else (*FIELDS, (b"x-tenant", tenant.encode()))
    flow = Flow("http", Target(host, 80), (source, 40000), Identity(None, user), "web")
    return flow, RequestHead(b"GET", b"http", host.encode(), path.encode(), None, fields)


def route(number: int, item: int) -> tuple[Match, Asked]:
    """
    The match of a route, and one of the requests that it takes.
    """
    network = f"10.{number >> 8 & 255}.{number & 255}"
    orders = f"/orders/{item}"
    make: list[Callable[[], tuple[dict[str, Any], Asked]]] = [
        lambda: (
            {"hosts": [f"shop{number}.example"], "paths": [f"/api/v{number}/"]},
            asked(f"shop{number}.example", f"/api/v{number}/items/{item}?x=1"),
        ),
        lambda: ({"hosts": [f"*.tenant{number}.example"]}, asked(f"www.tenant{number}.example", orders)),
        lambda: ({"paths": [f"/static/{number}/"]}, asked(path=f"/static/{number}/app.{item}.js")),
        lambda: ({"paths": [f"/users/{{id}}/list{number}"]}, asked(path=f"/users/{item}/list{number}?page=2")),
        lambda: ({"users": [f"user{number}"], "methods": ["GET", "HEAD"]}, asked(path=orders, user=f"user{number}")),
        lambda: ({"headers": {"x-tenant": f"t{number}"}}, asked(path=orders, tenant=f"t{number}")),
        lambda: ({"query": {"shard": str(number)}}, asked(path=f"/q?item={item}&shard={number}")),
        lambda: ({"sources": [f"{network}.0/24"]}, asked(path=orders, source=f"{network}.9")),
        lambda: (
            {"hosts": [f"re{number}.example"], "paths": [{"regex": f"/v[0-9]+/{number}/.*"}]},
            asked(f"re{number}.example", f"/v12/{number}/{item}"),
        ),
    ]
    match, request = make[number % len(make)]()
    return Match.fromTexts(**match), request


def naive(router: Router, flow: Flow, head: RequestHead) -> Route:
    """
    The first route that takes a request, by trying them all.
    """
    return next(route for route in router.routes if route.match.takes(flow, head))


def repeated(requests: list[Asked]) -> Iterator[Asked]:
    while True:
        yield from requests


def cost(decide: Callable[[Flow, RequestHead], object], requests: list[Asked], seconds: float) -> float:
    """
    Microseconds for a decision: the least of five runs, since what disturbs only adds.
    """
    best = float("inf")
    for _ in range(5):
        count = 0
        begin = time.process_time()
        end = begin
        for flow, head in repeated(requests):
            decide(flow, head)
            count += 1
            if count % 16 == 0:
                end = time.process_time()
                if end - begin > seconds / 5:
                    break
        best = min(best, (end - begin) / count * 1e6)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each is measured")
    options = parser.parse_args()
    print(f"{'routes':>8}{'compiled, us':>14}{'one by one, us':>16}{'to make, ms':>13}{'ratio':>8}")
    first = 0.0
    for count in COUNTS:
        random = Random(count)
        matches = [route(number, 0)[0] for number in range(count)]
        begin = time.process_time()
        router = Router([*map(Route, matches), Route(Match())])
        making = (time.process_time() - begin) * 1000
        requests = [route(random.randrange(count), item)[1] for item in range(2000)]
        for flow, head in requests[:50]:
            assert router.decideRequest(flow, head).route is naive(router, flow, head)
        compiled = cost(router.decideRequest, requests, options.seconds)
        scanned = cost(partial(naive, router), requests, options.seconds)
        first = first or compiled
        print(f"{count:8,}{compiled:14.2f}{scanned:16.1f}{making:13.1f}{compiled / first:8.2f}")


if __name__ == "__main__":
    main()
