"""
HTTP requests are decided as a scan of the routes would, and the same whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import BadRequest, NoRoute
from hermes.fabric import buckets
from hermes.fabric.router import Denied, Route, Router
from hermes.matching import Match
from hermes.values import Flow, Identity, RequestHead, Target


def request(
    url: str = "http://web.example/",
    method: str = "GET",
    user: str | None = None,
    node: str | None = None,
    source: str | None = "192.0.2.7",
    listener: str = "web",
    **headers: str,
) -> tuple[Flow, RequestHead]:
    """
    A request as a listener hands it on.
    """
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    fields = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    flow = Flow(
        "http",
        Target.fromText(authority, 443 if scheme == "https" else 80),
        (source, 5) if source else None,
        Identity(node, user),
        listener,
    )
    return flow, RequestHead(
        method.encode(), scheme.encode(), authority.encode(), (slash + path).encode(), None, fields
    )


def named(**matches: dict[str, Any]) -> Router:
    """
    A router of routes by name.
    """
    return Router([Route(Match.fromTexts(**match), name=name, to="x") for name, match in matches.items()])


def decided(router: Router, *args: Any, **kwargs: Any) -> str:
    """
    The name of the route that takes a request.
    """
    return router.decideRequest(*request(*args, **kwargs)).route.name


class Deciding(SynchronousTestCase):
    def test_theFirstMatchWinsOverAllKindsOfRoutes(self) -> None:
        router = named(
            bob={"users": ["bob"]},
            api={"hosts": ["web.example"], "paths": ["/api/"]},
            target={"targets": ["web.example:80"]},
            host={"hosts": ["*.example"]},
            rest={},
        )
        self.assertEqual("bob", decided(router, "http://web.example/api/x", user="bob"))
        self.assertEqual("api", decided(router, "http://web.example/api/x"))
        self.assertEqual("target", decided(router, "http://web.example/x"))
        self.assertEqual("host", decided(router, "http://web.example:8080/x"))
        self.assertEqual("host", decided(router, "http://a.b.example/x"))
        self.assertEqual("rest", decided(router, "http://example/x"))

    def test_everyKindOfPathIsFound(self) -> None:
        router = named(
            exact={"paths": ["/a"]},
            template={"paths": ["/users/{id}/posts"]},
            me={"paths": ["/users/me/"]},
            below={"paths": ["/users/{id}/"]},
            regex={"paths": [{"regex": r"/[0-9]+"}]},
            whole={"paths": [{"prefix": "/a"}]},
            root={"paths": ["/"]},
        )
        for path, name in {
            "/a": "exact",
            "/a?x=1": "exact",
            "/a/": "whole",
            "/a/b": "whole",
            "/ab": "root",
            "/users/7/posts": "template",
            "/users/me/posts": "template",
            "/users/me/x": "me",
            "/users/7/": "below",
            "/users/7": "root",
            "/users//posts": "root",
            "/12": "regex",
            "/12/": "root",
        }.items():
            self.assertEqual(name, decided(router, f"http://x{path}"), path)

    def test_aPathAndAllBelowItAreFoundAlone(self) -> None:
        for pattern, taken, passed in (
            ({"prefix": "/a"}, ["/a", "/a/", "/a/b"], ["/ab", "/"]),
            ("/a/", ["/a/", "/a/b"], ["/a", "/ab"]),
            ("/a/{x}", ["/a/b"], ["/a/", "/a", "/a/b/"]),
            ("/a/{x}/", ["/a/b/", "/a/b/c"], ["/a/", "/a/b"]),
            ("/", ["/", "/a"], []),
        ):
            router = named(rule={"paths": [pattern]}, rest={})
            for name, paths in (("rule", taken), ("rest", passed)):
                for path in paths:
                    self.assertEqual(name, decided(router, f"http://x{path}"), (pattern, path))

    def test_eachTargetOfARouteIsLookedAt(self) -> None:
        router = named(rule={"targets": ["web.example:81", "web.example:82"]}, rest={})
        for port, name in ((81, "rule"), (82, "rule"), (83, "rest")):
            self.assertEqual(name, decided(router, f"http://web.example:{port}/"))

    def test_aRuleIsNotPassedByWithAnotherSpellingOfThePath(self) -> None:
        router = Router(
            [
                Route(Match.fromTexts(paths=["/admin/"], users=["root"]), name="root"),
                Route(Match.fromTexts(paths=["/admin/"]), name="admin", deny="no"),
                Route(Match(), name="rest"),
            ]
        )
        for path in (
            "/admin/x",
            "/%61dmin/x",
            "/%61%64%6D%69%6e/x",
            "/x/../admin/x",
            "/x/%2e%2E/admin/x",
            "/./admin/x",
            "/../admin/x",
            "//admin/x",
            "/x/..//admin/x",
            "/admin//x",
            "/admin/?a",
        ):
            with self.assertRaises(Denied, msg=path) as caught:
                router.decideRequest(*request(f"http://x{path}"))
            self.assertEqual("admin", caught.exception.routeName)
            self.assertEqual("root", decided(router, f"http://x{path}", user="root"))
        # What servers read in different ways is nobody's to guess.
        for path in (
            "/admin%2fx",
            "/x%2f..%2fadmin/x",
            "/admin%5cx",
            "/admin\\x",
            "/x/..;/admin/x",
            "/admin;v=1/x",
            "/admin%3b/x",
            "/x//../admin/x",
            "/x/y//../../admin/x",
            "/x/%2F../..//admin/",
            "/%",
            "/admin%zz/",
            "/%00/",
            "/x#/../admin/x",
        ):
            with self.assertRaises(BadRequest, msg=path):
                router.decideRequest(*request(f"http://x{path}"))
        self.assertEqual("rest", decided(router, "http://x/projects/a%2Fb;v=1/x//y"))

    def test_thePathIsLeftAloneWhereNoRuleAsksForIt(self) -> None:
        self.assertEqual("rest", decided(named(rest={}), "http://x/%"))
        router = named(all={"hosts": ["a.example"]}, path={"paths": ["/a/"]})
        self.assertEqual("all", decided(router, "http://a.example/%"))

    def test_whatIsNotAPathIsTakenByNoPath(self) -> None:
        router = named(path={"paths": ["/"]}, rest={})
        flow, _ = request()
        options = RequestHead(b"OPTIONS", b"http", b"web.example", b"*")
        self.assertEqual("rest", router.decideRequest(flow, options).route.name)

    def test_theHostOfTheRequestCountsAndWithoutOneThatOfTheTarget(self) -> None:
        router = named(a={"hosts": ["a.example"]}, v6={"hosts": ["::1"]}, any={"hosts": ["*"]})
        for authority, name in (
            ("A.Example", "a"),
            ("a.example.:8080", "a"),
            ("[0:0::1]:80", "v6"),
            ("b.example", "any"),
            ("not a host", "any"),
        ):
            flow, head = request("http://b.example/")
            head = RequestHead(b"GET", b"http", authority.encode(), b"/")
            self.assertEqual(name, router.decideRequest(flow, head).route.name, authority)
        flow, _ = request("http://a.example/")
        self.assertEqual("a", router.decideRequest(flow, RequestHead(b"GET", path=b"/")).route.name)

    def test_headersAndQueryAreCompared(self) -> None:
        router = named(
            exact={"headers": {"X-Team": "red"}},
            prefix={"headers": {"x-team": {"prefix": "bl"}}},
            bearer={"headers": {"authorization": {"regex": "Bearer [a-z]+"}}},
            debug={"query": {"debug": True}},
            page={"query": {"page": "2", "size": False}},
            bare={"headers": {"cookie": False}, "methods": ["get"]},
            rest={},
        )
        self.assertEqual("exact", decided(router, x_team="red"))
        self.assertEqual("prefix", decided(router, x_team="blue"))
        self.assertEqual("bearer", decided(router, authorization="Bearer abc"))
        self.assertEqual("bare", decided(router, authorization="Bearer abc1"))
        self.assertEqual("debug", decided(router, "http://x/?debug", cookie="a"))
        self.assertEqual("page", decided(router, "http://x/?page=1&page=2"))
        self.assertEqual("page", decided(router, "http://x/?p%61ge=%32"))
        self.assertEqual("rest", decided(router, "http://x/?page=2&size=1", cookie="a"))
        self.assertEqual("rest", decided(router, method="POST"))
        # Twice the same field says both.
        flow, _ = request()
        twice = RequestHead(b"GET", b"http", b"x", b"/", None, ((b"x-team", b"red"), (b"x-team", b"green")))
        self.assertEqual("bare", router.decideRequest(flow, twice).route.name)

    def test_nothingMatchesIsDenied(self) -> None:
        with self.assertRaises(NoRoute) as caught:
            named(a={"hosts": ["a.example"]}).decideRequest(*request("https://b.example/", user="alice"))
        self.assertEqual("no route takes http to b.example:443 from alice", str(caught.exception))

    def test_aSpecialPurposeTargetMustBeNamed(self) -> None:
        for match, allowed in (
            ({}, False),
            ({"hosts": ["10.0.0.1"]}, False),
            ({"targets": ["10.0.0.0/8"]}, True),
            ({"targets": ["10.0.0.0/8"], "hosts": ["*"], "paths": ["/"]}, True),
            ({"targets": ["*", "10.0.0.0/8"]}, True),
            ({"targets": ["*", "127.0.0.1"]}, False),
        ):
            router = Router([Route(Match.fromTexts(**match))])  # type: ignore[arg-type]
            self.assertEqual(allowed, router.decideRequest(*request("http://10.0.0.1/")).allowSpecial, match)

    def test_aFlowThatIsNoRequestIsNotTakenByARouteForRequests(self) -> None:
        routes = [
            Route(Match.fromTexts(hosts=["web.example"]), name="host"),
            Route(Match.fromTexts(protocols=["http"]), name="answer", requestsOnly=True),
            Route(Match(), name="rest"),
        ]
        router = Router(routes)
        flow, head = request()
        self.assertEqual("rest", router.decide(flow).route.name)
        self.assertEqual("host", router.decideRequest(flow, head).route.name)
        self.assertEqual("answer", router.decideRequest(*request("http://other/")).route.name)
        self.assertEqual("route host: does not match: it takes HTTP requests only", router.explain(flow)[0])
        self.assertEqual("route answer: does not match: it takes HTTP requests only", router.explain(flow)[1])

    def test_anExplanationSaysWhatOfARequestDoesNotMatch(self) -> None:
        router = named(
            host={"hosts": ["a.example", "*.b.example"]},
            method={"methods": ["POST"]},
            header={"headers": {"x": {"regex": "a+"}}},
            absent={"headers": {"y": True}},
            query={"query": {"q": "1"}},
            path={"paths": ["/a/", {"prefix": "/b"}]},
            rest={},
        )
        self.assertEqual(
            [
                "route host: does not match: host is web.example, not *.b.example or a.example",
                "route method: does not match: method is GET, not POST",
                "route header: does not match: header x is 'b', not regex a+",
                "route absent: does not match: header y is absent, not present",
                "route query: does not match: query q is '2, 3', not 1",
                "route path: does not match: path is /c, not /a/ or prefix /b",
                "route rest: matches: to x",
            ],
            router.explain(*request("http://web.example/x/../c?q=2&q=3", x="b")),
        )


class Growing(SynchronousTestCase):
    """
    What a decision costs, counted in conditions that are looked at.
    """

    def tried(self, router: Router, *args: Any, **kwargs: Any) -> int:
        counted = 0
        original = buckets._first

        def first(candidates: Any, *rest: Any) -> int:
            nonlocal counted
            counted += len(candidates)
            return original(candidates, *rest)

        with mock.patch.object(buckets, "_first", first):
            router.decideRequest(*request(*args, **kwargs))
        return counted

    def test_itDoesNotGrowWithTheNumberOfRoutes(self) -> None:
        kinds: dict[str, Callable[[int], dict[str, Any]]] = {
            "host": lambda n: {"hosts": [f"h{n}.example"]},
            "wildcard": lambda n: {"hosts": [f"*.h{n}.example"]},
            "path": lambda n: {"hosts": ["web.example"], "paths": [f"/p{n}/"]},
            "exact path": lambda n: {"paths": [f"/p{n}"]},
            "template": lambda n: {"paths": [f"/p{n}/{{id}}/x", f"/{{any}}/p{n}/x"]},
            "user": lambda n: {"users": [f"u{n}", f"v{n}"]},
            "user on a path": lambda n: {"users": [f"u{n}"], "paths": ["/"]},
            "node": lambda n: {"nodes": [f"n{n}"], "methods": ["GET", "POST"]},
            "header": lambda n: {"headers": {"x-tenant": f"t{n}"}},
            "two headers": lambda n: {"headers": {"x-tenant": f"t{n}", "x-team": "red"}},
            "query": lambda n: {"query": {"tenant": f"t{n}"}},
            "source": lambda n: {"sources": [f"10.{n // 256}.{n % 256}.0/24"]},
            "target": lambda n: {"targets": [f"h{n}.example:80"]},
        }
        for kind, make in kinds.items():
            costs = []
            for count in (10, 100, 1000):
                router = Router([*(Route(Match.fromTexts(**make(n)), to="x") for n in range(count)), Route(Match())])
                costs.append(
                    self.tried(
                        router,
                        "http://web.example/p3/7/x?tenant=t3",
                        user="u3",
                        node="n3",
                        source="10.0.3.1",
                        x_tenant="t3",
                        x_team="red",
                    )
                )
            self.assertLessEqual(costs[2], min(costs[0], 10), (kind, costs))
