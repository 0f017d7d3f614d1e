"""
Writes the tables of the reference that say what the code says: keys of the configuration, metrics. A test fails where
they are old.

    python docs/generate.py
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import attrs
from prometheus_client import CollectorRegistry

from hermes.admin.metrics import FlowMetrics
from hermes.admin.names import NameMetrics
from hermes.admin.packets import PacketMetrics
from hermes.admin.pools import UpstreamMetrics
from hermes.admin.requests import RequestMetrics
from hermes.assist.authenticationtype import TokenOptions
from hermes.assist.cache.metrics import metricsIn
from hermes.assist.rules import Rule
from hermes.config.actions import HeadersConfig, MirrorConfig, RedirectConfig, RespondConfig, RewriteConfig
from hermes.config.direct import (
    EndpointConfig,
    EndpointTLSConfig,
    HealthConfig,
    LimitsConfig,
    OutlierConfig,
    PoolConfig,
)
from hermes.config.ip import IPConfig
from hermes.config.reference import describeType, keyDocumentation, summary
from hermes.config.retry import BackoffConfig, HedgeConfig, ResumeConfig, RetryConfig, SpoolConfig
from hermes.config.routes import MatchConfig, RouteConfig
from hermes.config.schema import (
    AccessLogConfig,
    AdminConfig,
    IdentityConfig,
    NodeConfig,
    TracingConfig,
    UserConfig,
)
from hermes.config.upstreams import UPSTREAM_TYPES
from hermes.control.document.schema import (
    LinkEntry,
    NDNPrefixEntry,
    NodeEntry,
    OverlayConfig,
    PolicyEntry,
    PrefixEntry,
    ServiceEntry,
    SettingsEntry,
    TestEntry,
)
from hermes.httplistener import CertificateOptions, HTTPLimits
from hermes.listeners import assistantTypes, listenerTypes
from hermes.ndn.management.options import KeyOptions, ManagementOptions, SigningOptions
from hermes.ndn.options import FaceOptions, PrefixOptions
from hermes.watchers import Watchers

DIRECT_PARTS: dict[str, Any] = {
    "endpoints": EndpointConfig,
    "tls": EndpointTLSConfig,
    "pool": PoolConfig,
    "health": HealthConfig,
    "outlier": OutlierConfig,
    "limits": LimitsConfig,
}

NDN_PARTS: dict[str, Any] = {
    "faces": FaceOptions,
    "prefixes": PrefixOptions,
    "management": ManagementOptions,
    "keys, in management": KeyOptions,
    "sign, in management": SigningOptions,
}

REFERENCE = Path(__file__).parent / "reference"
OURS = ("http", "ndn", "proxy", "tcp", "tun", "tunnel", "udp")
"""
The types of listeners that come with Hermes: others may be installed where this runs.
"""


ASSISTANTS: dict[str, dict[str, Any]] = {
    "authentication": {"jwt": TokenOptions},
    "authorizer": {},
    "cache": {},
    "limits": {},
    "ndn": {},
    "rules": {"rules": Rule},
}
"""
The types of assisting components that come with Hermes, and the keys in their keys.
"""


def table(*rows: tuple[str, ...]) -> str:
    """
    A table; the first row is its head.
    """
    head, *body = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body)) + "\n"


def keys(cls: Any) -> str:
    """
    The keys of one class of the configuration.
    """
    told = keyDocumentation(cls)
    rows = [("key", "type", "default", "meaning")]
    for attribute in attrs.fields(attrs.resolve_types(cls)):
        if attribute.init:
            meaning = told[attribute.name]
            rows.append((f"`{attribute.name}`", kind(attribute), default(attribute), meaning[0].upper() + meaning[1:]))
    return table(*rows)


def kind(attribute: Any) -> str:
    """
    A key's type. Where a word stands for a choice, the choices are code.
    """
    if attribute.name == "bind" and "udp:" not in describeType(attribute.type):
        return "`HOST:PORT` or `unix:PATH`"
    choices = [one for one in (attribute.type, *get_args(attribute.type)) if get_origin(one) is Literal]
    if choices and get_origin(attribute.type) is not tuple:
        return ", ".join(f"`{choice}`" for choice in get_args(choices[0]))
    return describeType(attribute.type).replace("NAME: ", "by name: ")


def default(attribute: Any) -> str:
    """
    A key's default; empty where it is left out.
    """
    value = attribute.default
    if value is attrs.NOTHING:
        return "*required*"
    if value is None or value == () or isinstance(value, attrs.Factory | IPConfig):  # type: ignore[arg-type]
        return ""
    if isinstance(value, float):
        value = f"{value:g}"
    if getattr(attribute.type, "__name__", "") == "Size":
        value = size(value)
    if isinstance(value, tuple):
        value = f"[{', '.join(value)}]"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def size(value: int) -> str:
    """
    Bytes in the largest unit that fits.
    """
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value and value % factor == 0:
            return f"{value // factor}{unit}"
    return str(value)


def joined(parts: Iterable[str]) -> str:
    """
    Headings, sentences and tables, with an empty line between.
    """
    return "\n".join(part if part.endswith("\n") else part + "\n" for part in parts)


def configuration() -> str:
    """
    Every key there is.
    """
    parts = ["## The node", keys(NodeConfig), "## identity", keys(IdentityConfig), "## listeners"]
    parts.append("A listener has a `type`, and the keys of that type. An installed extension adds types.\n")
    types = listenerTypes()
    for name in OURS:
        parts += [f"### type: {name}", keys(types[name].options)]
        if name == "http":
            parts += ["#### certificates", keys(CertificateOptions), "#### limits", keys(HTTPLimits)]
        if name == "ndn":
            for key, part in NDN_PARTS.items():
                parts += [f"#### {key}", summary(part) + "\n", keys(part)]
    parts += ["## upstreams", "An upstream has a `type`, and the keys of that type.\n"]
    for name, cls in UPSTREAM_TYPES.items():
        parts += [f"### type: {name}", summary(cls) + "\n", keys(cls)]
        if name == "direct":
            for key, part in DIRECT_PARTS.items():
                parts += [f"#### {key}", summary(part) + "\n", keys(part)]
    for title, cls in (
        ("## routes", RouteConfig),
        ("### match", MatchConfig),
        ("### rewrite", RewriteConfig),
        ("### headers, responseHeaders", HeadersConfig),
        ("### redirect", RedirectConfig),
        ("### respond", RespondConfig),
        ("### mirror", MirrorConfig),
        ("### retry", RetryConfig),
        ("### hedge, in retry", HedgeConfig),
        ("### backoff, in retry and resume", BackoffConfig),
        ("### resume", ResumeConfig),
        ("### spool, in resume", SpoolConfig),
    ):
        parts += [title, summary(cls) + "\n", keys(cls)]
    parts += ["## assist", "An assisting component has a `type`, and the keys of that type.\n"]
    assistants = assistantTypes()
    for name, below in ASSISTANTS.items():
        options = assistants[name].options
        parts += [f"### type: {name}", summary(options) + "\n", keys(options)]
        for key, part in below.items():
            parts += [f"#### {key}", summary(part) + "\n", keys(part)]
    for title, cls in (
        ("## users", UserConfig),
        ("## ip", IPConfig),
        ("## admin", AdminConfig),
        ("## accessLog", AccessLogConfig),
        ("## tracing", TracingConfig),
    ):
        parts += [title, summary(cls) + "\n", keys(cls)]
    return joined(parts)


def overlay() -> str:
    """
    Every key of an overlay's document.
    """
    parts = ["## The document", keys(OverlayConfig)]
    for title, cls in (
        ("## nodes", NodeEntry),
        ("## links", LinkEntry),
        ("## services", ServiceEntry),
        ("## prefixes", PrefixEntry),
        ("## names", NDNPrefixEntry),
        ("## users", UserConfig),
        ("## policy", PolicyEntry),
        ("## tests", TestEntry),
        ("## settings", SettingsEntry),
    ):
        parts += [title, summary(cls) + "\n", keys(cls)]
    return joined(parts)


def families() -> Iterator[tuple[str, str, str, str]]:
    """
    Name, type, labels and meaning of each metric, as they are shown.
    """
    registry = CollectorRegistry()
    FlowMetrics(lambda: (), "node", "version", registry)
    RequestMetrics(lambda: (), registry)
    UpstreamMetrics(dict, registry)
    Watchers(None, registry)
    NameMetrics(dict, registry)
    PacketMetrics(lambda: {"ports": [], "refused": {}}, registry)
    metricsIn(registry)
    labels: dict[str, tuple[str, ...]] = {}
    for collector in list(registry._collector_to_names):
        if hasattr(collector, "_labelnames"):
            labels |= {family.name: collector._labelnames for family in collector.describe()}
        else:
            labels |= {family.name: tuple(getattr(family, "_labelnames", ())) for family in collector.collect()}
    for family in registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        told = ", ".join(f"`{label}`" for label in labels.get(family.name, ()))
        yield f"`{name}`", family.type, told, family.documentation


def metrics() -> str:
    """
    Every metric there is.
    """
    return table(("metric", "type", "labels", "meaning"), *sorted(families()))


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "metrics.md": metrics,
    "overlay.md": overlay,
}


def renewed(name: str) -> str:
    """
    A page of the reference with its tables as the code has them now.
    """
    text = (REFERENCE / name).read_text()
    begin, end = "<!-- from the code, by docs/generate.py: -->\n", "<!-- end -->\n"
    made = f"{begin}\n{PAGES[name]()}\n{end}"
    renewed, count = re.subn(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: made, text, flags=re.DOTALL)
    assert count == 1, f"{name} has no place for its tables"
    return renewed


def main() -> None:
    for name in PAGES:
        (REFERENCE / name).write_text(renewed(name))


if __name__ == "__main__":
    main()
