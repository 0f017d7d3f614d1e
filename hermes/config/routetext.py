"""
Routes of a configuration in words.
"""

from __future__ import annotations

from collections.abc import Iterator

from hermes.config.actions import HeadersConfig
from hermes.config.routes import MatchConfig, RouteConfig
from hermes.wire.protocols import protocolName


def matchText(match: MatchConfig) -> str:
    """
    A match as a line of text.
    """
    if match.any:
        return "any"
    parts = []
    for key in ("target", "host", "path", "method", "user", "node", "listener", "protocol", "transport", "source"):
        if values := getattr(match, key):
            shown = map(protocolName, values) if key == "transport" else map(str, values)
            parts.append(f"{key} {' | '.join(shown)}")
    for key in ("header", "query"):
        for name, patterns in getattr(match, key).items():
            parts.append(f"{key} {name}: {' | '.join(str(pattern) for pattern in patterns)}")
    return " and ".join(parts)


def actionText(route: RouteConfig) -> str:
    """
    What a route does, as a line of text.
    """
    return ", ".join([_ending(route), *_beside(route)])


def _ending(route: RouteConfig) -> str:
    if route.deny is not None:
        return f"{'drop' if route.silent else 'deny'}: {route.deny}"
    if route.redirect is not None:
        redirect = route.redirect
        parts = (f"{key} {value}" for key in ("scheme", "host", "path") if (value := getattr(redirect, key)))
        return f"redirect ({redirect.status}) to {redirect.to or ', '.join(parts)}"
    if route.respond is not None:
        source = f" with {route.respond.file}" if route.respond.file else ""
        return f"answer {route.respond.status}{source}"
    if route.split:
        text = "to " + " | ".join(f"{name} ({weight})" for name, weight in route.split.items())
    else:
        text = f"to {route.to}" if route.to else "to the target"
    if route.via:
        text += f" via {' > '.join(route.via)}{' (nested)' if route.nested else ''}"
        text += "".join(f", or {' > '.join(way)}" for way in route.backup)
    return text


def _beside(route: RouteConfig) -> Iterator[str]:
    if route.assist:
        yield f"assisted by {' > '.join(route.assist)}"
    if route.rewrite is not None:
        rewrite = route.rewrite
        for key in ("host", "path", "prefix"):
            if (value := getattr(rewrite, key)) is not None:
                yield f"{key} becomes {value}"
        if rewrite.regex is not None:
            yield f"{rewrite.regex} in the path becomes {rewrite.substitution}"
    for what, changes in (("fields", route.headers), ("fields of the response", route.responseHeaders)):
        if changes is not None:
            yield f"{what}: {_changesText(changes)}"
    if route.mirror is not None:
        yield f"{'' if route.mirror.share == 1 else f'{route.mirror.share:.0%} '}copied to {route.mirror.to}"
    if route.timeout is not None:
        yield f"within {route.timeout:g} s"
    if route.retry is not None:
        yield f"tried up to {route.retry.tries} times for {' | '.join(route.retry.on)}"
    if route.resume is not None:
        yield "resumed"
    if route.allowSpecial:
        yield "special-purpose addresses allowed"


def _changesText(changes: HeadersConfig) -> str:
    parts = [f"without {name}" for name in changes.remove]
    for sign, fields in (("=", changes.set), ("+=", changes.add)):
        parts += [f"{name} {sign} {value}" for name, values in fields.items() for value in values]
    return "; ".join(parts)
