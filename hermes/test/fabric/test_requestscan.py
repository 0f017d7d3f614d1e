"""
The compiled routes decide as trying them one after the other does.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import BadRequest, NoRoute
from hermes.fabric import buckets
from hermes.fabric.router import Denied, Route, Router
from hermes.matching import Match, readings
from hermes.values import Flow, Identity, RequestHead, Target

HOSTS = ["web.example", "api.web.example", "example", "10.1.2.3"]
PATHS = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/b", "/b/a/", "*", "/a//b", "/a%2fb", "/a;x", "/a/%2e%2E/b", "/%"]


def someOf(*values: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2)


VALUES = st.sampled_from(["1", "2", True, False, {"prefix": "1"}, {"regex": "[12]"}])
CRITERIA: dict[str, st.SearchStrategy[Any]] = {
    "targets": someOf("web.example", "*.example:80", "10.0.0.0/8", ":8080", "*"),
    "users": someOf("alice", "bob"),
    "nodes": someOf("edge"),
    "listeners": someOf("web", "apps"),
    "protocols": someOf("tcp", "http"),
    "sources": someOf("192.0.2.0/24", "192.0.0.0/16", "2001:db8::/32"),
    "hosts": someOf("web.example", "*.example", "*.web.example", "10.1.2.3", "*"),
    "paths": someOf(
        *("/", "/a", "/a/", "/a/b", "/{x}", "/{x}/b", "/a/{x}/"),
        *({"prefix": "/a"}, {"prefix": "/{x}/b"}, {"regex": "/.+b"}),
    ),
    "methods": someOf("GET", "POST"),
    "headers": st.dictionaries(st.sampled_from(["h", "k"]), VALUES, max_size=2),
    "query": st.dictionaries(st.sampled_from(["q", "r"]), VALUES, max_size=2),
}
# Most routes ask for little, or none would be taken by any.
MATCHES = (
    st.sets(st.sampled_from(sorted(CRITERIA)), min_size=1, max_size=3)
    .flatmap(lambda keys: st.fixed_dictionaries({key: CRITERIA[key] for key in sorted(keys)}))
    .map(lambda given: Match.fromTexts(**given))
)
ROUTES = st.lists(st.builds(Route, MATCHES, deny=st.sampled_from([None, None, "no"])), max_size=30)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Flow, RequestHead]:
    host = draw(st.sampled_from(HOSTS))
    flow = Flow(
        "http",
        Target(draw(st.sampled_from([host, *HOSTS])), draw(st.sampled_from([80, 8080]))),
        draw(st.sampled_from([None, ("192.0.2.1", 1), ("192.0.9.1", 1), ("2001:db8::1", 1)])),
        Identity(draw(st.sampled_from([None, "edge"])), draw(st.sampled_from([None, "alice", "bob", "eve"]))),
        draw(st.sampled_from(["web", "apps"])),
    )
    query = draw(st.sampled_from(["", "?q=1", "?q=2&r=1", "?q=1&q=2", "?r"]))
    fields = draw(st.lists(st.tuples(st.sampled_from([b"h", b"k"]), st.sampled_from([b"1", b"2", b"12"])), max_size=3))
    return flow, RequestHead(
        draw(st.sampled_from([b"GET", b"POST"])),
        b"http",
        host.encode(),
        draw(st.sampled_from(PATHS)).encode() + query.encode(),
        None,
        tuple(fields),
    )


def scanned(routes: list[Route], flow: Flow, head: RequestHead, path: bytes) -> int | None:
    """
    The place of the first route that takes one reading of a request.
    """
    for place, route in enumerate(routes):
        match = route.match
        if evolve(match, paths=()).takes(flow, head) and (not match.paths or match.takesPath(path)):
            return place
    return None


class Compiled(SynchronousTestCase):
    @settings(deadline=None, max_examples=600)
    @given(ROUTES, requests(), st.sampled_from([0, buckets.FEW]))
    def test_theCompiledRouterDecidesAsANaiveScanDoes(
        self, routes: list[Route], asked: tuple[Flow, RequestHead], few: int
    ) -> None:
        flow, head = asked
        with mock.patch.object(buckets, "FEW", few):
            router = Router(routes)
        try:
            path, others = readings(head.path)
        except BadRequest:
            # Refused, where a rule about its path would have to know it; and never taken by a later route.
            asking = [evolve(route.match, paths=()).takes(flow, head) for route in routes]
            first = asking.index(True) if True in asking else None
            if first is not None and routes[first].match.paths:
                self.assertRaises(BadRequest, router.decideRequest, flow, head)
                return
            try:
                self.assertIs(router.decideRequest(flow, head).route, first is not None and routes[first])
            except BadRequest:
                self.assertTrue(any(route.match.paths for route in routes))
            except NoRoute:
                self.assertTrue(first is None or routes[first].deny is not None)
            return
        expected = scanned(routes, flow, head, path)
        if any(scanned(routes, flow, head, other) != expected for other in others):
            with self.assertRaises(BadRequest):
                router.decideRequest(flow, head)
        elif expected is None:
            with self.assertRaises(NoRoute):
                router.decideRequest(flow, head)
        elif routes[expected].deny is not None:
            with self.assertRaises(Denied):
                router.decideRequest(flow, head)
        else:
            self.assertIs(routes[expected], router.decideRequest(flow, head).route)

    @settings(deadline=None)
    @given(MATCHES, requests())
    def test_takesIsRefusalWithoutTheWords(self, match: Match, asked: tuple[Flow, RequestHead]) -> None:
        try:
            taken = match.takes(*asked)
        except BadRequest:
            with self.assertRaises(BadRequest):
                match.refusal(*asked)
        else:
            self.assertEqual(taken, match.refusal(*asked) is None)
