"""
The two sides of the HTTP measures: client, HTTP/1.1, first proxy, HTTP/2, second proxy, HTTP/1.1, origin.

Both route by host and path with the same routes on both proxies, write an access log of the same fields as JSON, count,
validate, and say that they were there (Via, and for whom).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers import Envoy, Hermes
from sides import freePort

MOST = 200_000
TO_ORIGIN = 64
"""
Connections to an origin that speaks TLS, where they are pooled.
"""
ROUTES = (
    ("users", "api.shop.test", "/api/v1/users/{id}"),
    ("orders", "api.shop.test", "/api/v1/orders/{id}/items"),
    ("search", "api.shop.test", "/api/v1/search"),
    ("scripts", "static.shop.test", "/static/"),
    ("products", "www.shop.test", "/products/"),
    ("categories", "www.shop.test", "/categories/"),
    ("images", "www.shop.test", "/images/"),
    ("hanging", "www.shop.test", "/hang"),
)
"""
A name, a host, and a path: one segment in braces, all that is below, or exactly this.
"""


def routes(fillers: int) -> list[tuple[str, str, str]]:
    """
    L{ROUTES} behind so many that take none of the requests: half at hosts of their own, half at those that are asked.
    """
    hosts = sorted({host for _, host, _ in ROUTES})
    before = [
        (f"filler{n}", f"shop{n}.test" if n % 2 else hosts[n // 2 % len(hosts)], f"/filler/{n}/")
        for n in range(fillers)
    ]
    return [*before, *ROUTES]


def certify(directory: Path) -> None:
    """
    A certificate for the names that the client asks for, signed by itself.
    """
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", "shop.key", "-out", "shop.pem", "-days", "2", "-subj", "/CN=shop.test"),
            *("-addext", "subjectAltName=DNS:*.shop.test"),
        ],
        cwd=directory,
        check=True,
        stderr=subprocess.DEVNULL,
    )


class HermesHTTP(Hermes):
    """
    Two nodes. Over C{tls} they know each other by mutual TLS, and the second speaks TLS to the origin.
    """

    def startHTTP(self, tls: bool, entry: bool, between: Callable[[int], int]) -> None:
        near, middle = freePort(), freePort()
        if tls:
            from hermes.net.authority import OverlayAuthority

            authority = OverlayAuthority.create(str(self.directory))
            for name in ("a", "b"):
                authority.issue(name)
        limits = {"connections": MOST, "pending": MOST, "requests": MOST}
        origin: dict[str, Any] = {"type": "direct", "endpoints": [f"127.0.0.1:{self.target}"], "version": "1.1"}
        origin |= {"limits": limits, "pool": {"mostIdle": 4096}}
        if tls:
            origin["tls"] = {"trust": str(self.directory / "shop.pem"), "serverName": "www.shop.test"}
            origin["limits"] = {**limits, "connections": TO_ORIGIN}
        web: dict[str, Any] = {"type": "http", "bind": f"127.0.0.1:{near}", "tls": False}
        if entry:
            files = {"certificate": str(self.directory / "shop.pem"), "key": str(self.directory / "shop.key")}
            web |= {"tls": True, "certificates": [files]}
        overlay: dict[str, Any] = (
            {"type": "tunnel", "bind": f"127.0.0.1:{middle}"}
            if tls
            else {"type": "http", "bind": f"127.0.0.1:{middle}", "tls": False}
        )
        second = {"node": "b", "listeners": {"overlay": overlay}, "upstreams": {"origin": origin}}
        self._spawnNode({**second, "routes": self._routes("origin")}, self.cores[1], tls)
        self.awaitPort(middle)
        hop: dict[str, Any] = {"endpoints": [f"127.0.0.1:{between(middle)}"]}
        hop |= {"type": "hermes", "node": "b"} if tls else {"type": "direct", "version": "2", "limits": limits}
        first = {"node": "a", "listeners": {"web": web}, "upstreams": {"b": hop}}
        self._spawnNode({**first, "routes": self._routes("b")}, self.cores[0], tls)
        self.awaitPort(near)
        self.port = near

    def _routes(self, upstream: str) -> list[dict[str, Any]]:
        return [
            {"name": name, "match": {"host": host, "path": path}, "to": upstream}
            for name, host, path in routes(self.fillers)
        ]

    def _spawnNode(self, document: dict[str, Any], core: int, identified: bool) -> None:
        name = document["node"]
        document["admin"] = {"bind": f"unix:{self.directory}/{name}.sock"}
        document["accessLog"] = {"path": f"{self.directory}/{name}.access"}
        if identified:
            document["identity"] = {"certificate": f"{name}.pem", "key": f"{name}.key", "trust": "overlay-ca.pem"}
        self.spawnNode(document, core)


class EnvoyHTTP(Envoy):
    """
    Two Envoys, the second with an HTTP/2 listener. Between them TLS is not mutual.
    """

    def startHTTP(self, tls: bool, entry: bool, between: Callable[[int], int]) -> None:
        near, middle = freePort(), freePort()
        trust = {"trusted_ca": {"filename": "shop.pem"}}
        second = self._node(self._listener("b", middle, "origin", "HTTP2", tls), "origin", self.target)
        first = self._node(self._listener("a", near, "b", "HTTP1", entry), "b", between(middle), http2=True)
        if tls:
            for document in (first, second):
                cluster = document["static_resources"]["clusters"][0]
                cluster["transport_socket"] = {
                    "name": "envoy.transport_sockets.tls",
                    "typed_config": {
                        **self._type("transport_sockets.tls.v3.UpstreamTlsContext"),
                        "sni": "www.shop.test",
                        "common_tls_context": {"validation_context": trust},
                    },
                }
            cluster["circuit_breakers"]["thresholds"][0]["max_connections"] = TO_ORIGIN
        for name, document, core, port in (("b", second, self.cores[1], middle), ("a", first, self.cores[0], near)):
            document["admin"] = {"address": {"pipe": {"path": f"{self.directory}/{name}.sock"}}}
            self.spawnNode(name, document, core)
            self.awaitPort(port)
        self.port = near

    def _listener(self, name: str, port: int, cluster: str, codec: str, tls: bool) -> dict[str, Any]:
        hosts: dict[str, list[dict[str, Any]]] = {}
        for route, host, path in routes(self.fillers):
            hosts.setdefault(host, []).append(
                {"name": route, "match": self._match(path), "route": {"cluster": cluster}}
            )
        router = {"name": "envoy.filters.http.router", "typed_config": self._type("filters.http.router.v3.Router")}
        manager = {
            **self._type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "codec_type": codec,
            "stat_prefix": "hcm",
            "use_remote_address": name == "a",
            "via": f"envoy-{name}",
            "generate_request_id": False,
            "http2_protocol_options": self._http2(),
            "route_config": {
                "name": "r",
                "virtual_hosts": [
                    {"name": host.replace(".", "-"), "domains": [host], "routes": taking}
                    for host, taking in hosts.items()
                ],
            },
            "http_filters": [router],
            "access_log": [self._accessLog(name)],
        }
        chain: dict[str, Any] = {
            "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
        }
        if tls:
            files = {"certificate_chain": {"filename": "shop.pem"}, "private_key": {"filename": "shop.key"}}
            chain["transport_socket"] = {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    **self._type("transport_sockets.tls.v3.DownstreamTlsContext"),
                    "common_tls_context": {
                        "alpn_protocols": ["h2" if codec == "HTTP2" else "http/1.1"],
                        "tls_certificates": [files],
                    },
                },
            }
        return {"name": "l", "address": self._address("127.0.0.1", port), "filter_chains": [chain]}

    def _match(self, path: str) -> dict[str, Any]:
        if "{" in path:
            policy = {**self._type("path.match.uri_template.v3.UriTemplateMatchConfig"), "path_template": path}
            name = "envoy.path.match.uri_template.uri_template_matcher"
            return {"path_match_policy": {"name": name, "typed_config": policy}}
        return {"prefix" if path.endswith("/") else "path": path}

    def _accessLog(self, name: str) -> dict[str, Any]:
        fields = {
            "time": "%START_TIME%",
            "protocol": "%PROTOCOL%",
            "source": "%DOWNSTREAM_REMOTE_ADDRESS%",
            "method": "%REQ(:METHOD)%",
            "host": "%REQ(:AUTHORITY)%",
            "path": "%REQ(:PATH)%",
            "status": "%RESPONSE_CODE%",
            "route": "%ROUTE_NAME%",
            "upstream": "%UPSTREAM_CLUSTER%",
            "endpoint": "%UPSTREAM_HOST%",
            "bytesIn": "%BYTES_RECEIVED%",
            "bytesOut": "%BYTES_SENT%",
            "seconds": "%DURATION%",
            "firstByte": "%RESPONSE_DURATION%",
            "error": "%RESPONSE_FLAGS%",
            "userAgent": "%REQ(USER-AGENT)%",
            "traceparent": "%REQ(TRACEPARENT)%",
        }
        return {
            "name": "envoy.access_loggers.file",
            "typed_config": {
                **self._type("access_loggers.file.v3.FileAccessLog"),
                "path": f"{self.directory}/{name}.access",
                "log_format": {"json_format": fields},
            },
        }
