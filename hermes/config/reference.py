"""
The documentation of the configuration, out of the classes that are it.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from hermes.config.schema import AssistConfig, ListenerConfig, NodeConfig
from hermes.config.upstreams import UPSTREAM_TYPES, UpstreamConfig
from hermes.interfaces import IAssistantType, IListenerType

_FIELD = re.compile(r"^@(\w+)(?: (\w+))?:\s*", re.MULTILINE)
_MARKUP = re.compile(r"[CILB]\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")


def keyDocumentation(cls: type) -> dict[str, str]:
    """
    What the C{@ivar} fields in a class's docstring say, by attribute, each as one line of plain text.
    """
    parts = _FIELD.split(cleandoc(cls.__doc__ or ""))
    found: dict[str, str] = {}
    for tag, name, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        if tag in ("ivar", "param") and name:
            found[name] = _plain(text)
    return found


def summary(cls: type) -> str:
    """
    The docstring of a class before its fields, as one line of plain text.
    """
    return _plain(_FIELD.split(cleandoc(cls.__doc__ or ""))[0])


def _plain(text: str) -> str:
    return _MARKUP.sub(lambda match: match[1], " ".join(text.split()))


def describeType(kind: Any) -> str:
    """
    A type in the words of somebody who writes YAML.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " | ".join(str(choice) for choice in arguments)
    if origin in (tuple, list):
        return f"list of {describeType(arguments[0])}"
    if origin is dict:
        return f"NAME: {describeType(arguments[1])}"
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(describeType(one) for one in arguments if one is not type(None)))
    words = {
        "str": "text",
        "bool": "true | false",
        "int": "number",
        "float": "number",
        "Secret": "text or {file: PATH}",
    }
    words |= {"SocketAddress": "HOST:PORT or unix:PATH", "ExistingFile": "file", "NewFile": "file", "Name": "name"}
    words |= {"Seconds": "duration", "Target": "HOST:PORT", "TargetPattern": "target pattern", "WorkerCount": "number"}
    words |= {"HostPattern": "host pattern", "PathPattern": "path pattern", "ValuePattern": "value pattern"}
    words |= {"Match": "match", "Method": "text", "Size": "size", "RetryReason": "reason or status"}
    words |= {"FieldName": "field name", "NDNName": "NDN name", "Subject": "who", "Destination": "destination"}
    words |= {"FaceLocator": "unix:PATH, or udp:, tcp: or ws: and HOST:PORT"}
    words |= {"IPv4Network": "CIDR", "IPv6Network": "CIDR", "IPv4Address": "IP address", "IPv6Address": "IP address"}
    words |= {"IPv4Interface": "ADDRESS/LENGTH", "IPv6Interface": "ADDRESS/LENGTH", "Transport": "IP protocol"}
    name = getattr(kind, "__name__", str(kind))
    return words.get(name, "mapping" if attrs.has(kind) else name)


def reference(listenerTypes: Mapping[str, IListenerType], assistantTypes: Mapping[str, IAssistantType]) -> str:
    """
    Every key there is, as indented text.
    """
    lines: list[str] = []
    options = {
        ListenerConfig: {name: listenerType.options for name, listenerType in listenerTypes.items()},
        AssistConfig: {name: assistantType.options for name, assistantType in assistantTypes.items()},
        UpstreamConfig: dict(UPSTREAM_TYPES),
    }
    _class(NodeConfig, 0, lines, options)
    return "\n".join(lines) + "\n"


def _class(cls: Any, depth: int, lines: list[str], options: Mapping[Any, Mapping[str, Any]]) -> None:
    told = keyDocumentation(cls)
    for attribute in attrs.fields(attrs.resolve_types(cls)):
        if not attribute.init:
            continue
        pad = "  " * depth
        lines.append(f"{pad}{attribute.name}: {describeType(attribute.type)}{_default(attribute)}")
        lines.append(f"{pad}    {told.get(attribute.name, '')}".rstrip())
        _below(attribute.type, depth + 1, lines, options)


def _default(attribute: Any) -> str:
    default = attribute.default
    if default is attrs.NOTHING:
        return " (required)"
    if default is None or default == () or isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return ""
    return f" (default: {str(default).lower() if isinstance(default, bool) else default})"


def _below(kind: Any, depth: int, lines: list[str], options: Mapping[Any, Mapping[str, Any]]) -> None:
    variants = next((options[one] for one in get_args(kind) if one in options), {})
    for name, variant in sorted(variants.items()):
        lines.append(f"{'  ' * depth}type: {name}")
        if summary(variant):
            lines.append(f"{'  ' * depth}    {summary(variant)}")
        _class(variant, depth + 1, lines, options)
    for one in (kind, *get_args(kind)):
        ours = ("hermes.config", "hermes.assist", "hermes.ndn")
        if attrs.has(one) and one not in options and one.__module__.startswith(ours):
            _class(one, depth, lines, options)
