"""
C{hermes explain FILE METHOD URL} and C{hermes explain FILE PROTOCOL TARGET}, of a node's file; and of an overlay, asked
of its controller, C{hermes explain DESTINATION}.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from ipaddress import ip_address
from re import fullmatch
from typing import Any

from rich.console import Console

from hermes.commands.check import loadOrTell
from hermes.config import DirectUpstream, NodeConfig
from hermes.control.operator.explained import OF_THE_OVERLAY, explainOverlay, overlayArguments
from hermes.errors import FlowError, HermesError
from hermes.fabric.router import Decision, Router
from hermes.http.actions import RequestActions, redirectResponse, rewriteRequest
from hermes.matching.match import parseFieldName, parseMethod
from hermes.messages import Request, RequestRecord
from hermes.routing import makeRouter
from hermes.values import Address, Flow, Headers, Identity, RequestHead, Target

SUMMARY = "say which route takes a request or a flow, and why; or who may reach what over the overlay"

PROTOCOLS = ("tcp", "udp", "http", "listen")
SCHEMES = {"http": (b"http", 80), "https": (b"https", 443), "ws": (b"http", 80), "wss": (b"https", 443)}


def arguments(parser: ArgumentParser) -> None:
    """
    The file and the request or flow.
    """
    parser.add_argument(
        "file",
        metavar="FILE",
        help="the node's YAML file; alone, and of a controller: a destination, HOST:PORT or a URL",
    )
    parser.add_argument("kind", metavar="METHOD", nargs="?", help="a method, or for a flow tcp, udp, http or listen")
    parser.add_argument(
        "target", metavar="URL", nargs="?", help="what is asked for; for a flow where it wants to go, HOST:PORT"
    )
    parser.add_argument("--user", help="the user who sends it")
    parser.add_argument("--node", help="the proxy that sends it")
    parser.add_argument("--source", metavar="IP", help="the client's address")
    parser.add_argument("--listener", default="", help="the listener that accepts it")
    parser.add_argument(
        "-H", "--header", action="append", default=[], metavar="NAME: VALUE", help="a header field of the request"
    )
    overlayArguments(parser)


def run(options: Namespace, console: Console) -> int:
    """
    Print a line a route, then what is done with the request or flow.

    @return: 0 where a route takes it, 1 where it is denied or the file is wrong, 2 where the call is.
    """
    if options.kind is None:
        return explainOverlay(options, console)
    if options.target is None:
        print("hermes explain: after a method comes a URL, after a protocol HOST:PORT", file=console.file)
        return 2
    given = [name for name in OF_THE_OVERLAY if getattr(options, name)]
    if given:
        print(
            f"hermes explain: --{given[0].replace('_', '-')} is asked of a controller, and not of a file",
            file=console.file,
        )
        return 2
    config = loadOrTell(options.file, console)
    if isinstance(config, int):
        return config
    try:
        flow, head = _asked(options)
    except ValueError as error:
        print(f"hermes explain: {error}", file=console.file)
        return 2
    for kind, name, names in (("listener", options.listener, config.listeners), ("user", options.user, config.users)):
        if name and name not in names:
            print(f"note: this node has no {kind} called {name!r}", file=console.file)
    try:
        router = makeRouter(config)
    except HermesError as error:
        print(f"{options.file}: {error}", file=console.file)
        return 1
    for line in router.explain(flow, head):
        print(line, file=console.file)
    try:
        text = _outcome(config, router, flow, head)
    except FlowError as error:
        print(f"=> {error}", file=console.file)
        return 1
    print(f"=> {text}", file=console.file)
    return 0


def _asked(options: Namespace) -> tuple[Flow, RequestHead | None]:
    """
    The flow, and the head of the request where it is one.

    @raise ValueError: with a sentence for the user.
    """
    scheme, _, rest = options.target.partition("://")
    source: Address | None = None if options.source is None else (str(ip_address(options.source)), 0)
    identity = Identity(options.node, options.user)
    protocol = "tcp" if options.kind.upper() == "CONNECT" and not rest else options.kind
    if protocol in PROTOCOLS:
        if options.header:
            raise ValueError("a flow has no header fields: write METHOD URL for a request")
        return Flow(protocol, Target.fromText(options.target), source, identity, options.listener), None
    if not rest or scheme.lower() not in SCHEMES:
        raise ValueError(f"{options.target!r} is not a URL: write http://HOST/PATH or https://HOST/PATH")
    sent, port = SCHEMES[scheme.lower()]
    found = fullmatch(r"([^/?#]+)([/?][^#]*)?(#.*)?", rest)
    if found is None:
        raise ValueError(f"{options.target!r} names no host")
    path = found[2] or "/"
    upgrade = scheme.lower().startswith("ws")
    head = RequestHead(
        # An upgrade has this method, whatever the version of HTTP.
        b"CONNECT" if upgrade else parseMethod(options.kind),
        sent,
        found[1].encode(),
        (path if path.startswith("/") else f"/{path}").encode(),
        b"websocket" if upgrade else None,
        tuple(map(_field, options.header)),
    )
    return Flow("http", Target.fromText(found[1], port), source, identity, options.listener), head


def _field(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"{text!r} is not a header field: write NAME: VALUE")
    return parseFieldName(name), value.strip().encode()


def _outcome(config: NodeConfig, router: Router, flow: Flow, head: RequestHead | None) -> str:
    """
    What is done, as a line of text.

    @raise FlowError: where it is denied.
    """
    if head is None:
        return outcome(config, router.decide(flow), flow)
    decision = router.decideRequest(flow, head)
    route = decision.route
    actions: RequestActions | None = route.actions
    request = Request(head, flow, RequestRecord(flow, head, "1.1", 0.0))
    captures = route.match.captures(head)
    if actions is not None and actions.redirect is not None:
        location = redirectResponse(actions.redirect, request, captures).head.get(b"location") or b""
        return f"{actions.instead}, to {_text(location)}"
    if actions is not None and actions.instead is not None:
        return actions.instead
    if route.split:
        text = "; or ".join(f"{outcome(config, decision, flow, name)} ({weight})" for name, weight in route.split)
    else:
        text = outcome(config, decision, flow)
    if actions is not None:
        rewriteRequest(actions, request, captures)
        text += _changes(head, request.head)
        if actions.assist:
            text += f"; assisted by {' > '.join(actions.assist)}"
        if actions.mirror is not None:
            text += f"; {actions.mirror.share:.0%} copied to {actions.mirror.to}"
    return text


def _changes(before: RequestHead, after: RequestHead) -> str:
    text = ""
    if (before.authority, before.path) != (after.authority, after.path):
        text += f"; as {_text(after.method)} {_text(after.scheme)}://{_text(after.authority)}{_text(after.path)}"
    kept = set(before.headers).intersection(after.headers)
    for sign, headers in (("without", before.headers), ("with", after.headers)):
        changed: Headers = tuple(pair for pair in headers if pair not in kept)
        if changed:
            text += f"; {sign} {', '.join(f'{_text(name)}: {_text(value)}' for name, value in changed)}"
    return text


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def outcome(config: NodeConfig, decision: Decision, flow: Flow, to: str | None = None) -> str:
    """
    Where a decision takes a flow, as a line of text.

    @param to: the upstream, where the route has several.
    """
    route = decision.route
    if flow.protocol == "listen":
        return f"this node listens on {flow.target} for it"
    to = to or route.to
    hops = list(route.via)
    upstream: Any = config.upstreams.get(to) if to is not None else None
    if to is not None and upstream is not None and not isinstance(upstream, DirectUpstream):
        hops.append(to)
        upstream = None
    if isinstance(upstream, DirectUpstream) and upstream.endpoints:
        end = f"one of {', '.join(upstream.addresses)}" if len(upstream.endpoints) > 1 else upstream.addresses[0]
        end += f" (upstream {to}, {upstream.balance})" if len(upstream.endpoints) > 1 else f" (upstream {to})"
    else:
        end = str(flow.target)
    if to in config.listeners and to not in config.upstreams:
        return f"it ends at the listener {to} of this node"
    if not hops:
        special = "allowed" if decision.allowSpecial else "refused"
        return f"from here to {end}; special-purpose addresses are {special}"
    inside = ", each tunnel inside the one before" if route.nested and len(hops) > 1 else ""
    others = "".join(f", or through {' > '.join((*way, *hops[len(route.via) :]))}" for way in route.backup)
    return f"through {' > '.join(hops)}{inside}{others}, to {end}"
