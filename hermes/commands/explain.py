"""
C{hermes explain FILE PROTOCOL TARGET}.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from ipaddress import ip_address

from rich.console import Console

from hermes.commands.check import loadOrTell
from hermes.config import DirectUpstream, NodeConfig
from hermes.errors import NoRoute
from hermes.fabric.router import Decision
from hermes.routing import makeRouter
from hermes.values import Address, Flow, Identity, Target

SUMMARY = "say which route takes a flow, and why those before it do not"


def arguments(parser: ArgumentParser) -> None:
    """
    The file and the flow.
    """
    parser.add_argument("file", metavar="FILE", help="the node's YAML file")
    parser.add_argument("protocol", choices=("tcp", "udp", "http", "listen"), help="what kind of flow")
    parser.add_argument("target", metavar="TARGET", help="where it wants to go, HOST:PORT")
    parser.add_argument("--user", help="the user who sends it")
    parser.add_argument("--node", help="the proxy that sends it")
    parser.add_argument("--source", metavar="IP", help="the client's address")
    parser.add_argument("--listener", default="", help="the listener that accepts it")


def run(options: Namespace, console: Console) -> int:
    """
    Print a line a route, then what is done with the flow.

    @return: 0 where a route takes it, 1 where it is denied or the file is wrong, 2 where the call is.
    """
    config = loadOrTell(options.file, console)
    if isinstance(config, int):
        return config
    try:
        flow = Flow(
            protocol=options.protocol,
            target=Target.fromText(options.target),
            source=_source(options.source),
            identity=Identity(options.node, options.user),
            listener=options.listener,
        )
    except ValueError as error:
        print(f"hermes explain: {error}", file=console.file)
        return 2
    for kind, name, names in (("listener", options.listener, config.listeners), ("user", options.user, config.users)):
        if name and name not in names:
            print(f"note: this node has no {kind} called {name!r}", file=console.file)
    router = makeRouter(config)
    for line in router.explain(flow):
        print(line, file=console.file)
    try:
        decision = router.decide(flow)
    except NoRoute as error:
        print(f"=> {error}", file=console.file)
        return 1
    print(f"=> {outcome(config, decision, flow)}", file=console.file)
    return 0


def _source(text: str | None) -> Address | None:
    return None if text is None else (str(ip_address(text)), 0)


def outcome(config: NodeConfig, decision: Decision, flow: Flow) -> str:
    """
    Where a decision takes a flow, as a line of text.
    """
    route = decision.route
    if flow.protocol == "listen":
        return f"this node listens on {flow.target} for it"
    hops = list(route.via)
    upstream = config.upstreams.get(route.to) if route.to is not None else None
    if route.to is not None and not isinstance(upstream, DirectUpstream):
        hops.append(route.to)
        upstream = None
    if isinstance(upstream, DirectUpstream) and upstream.endpoints:
        end = f"one of {', '.join(upstream.addresses)}" if len(upstream.endpoints) > 1 else upstream.addresses[0]
        end += (
            f" (upstream {route.to}, {upstream.balance})" if len(upstream.endpoints) > 1 else f" (upstream {route.to})"
        )
    else:
        end = str(flow.target)
    if not hops:
        special = "allowed" if decision.allowSpecial else "refused"
        return f"from here to {end}; special-purpose addresses are {special}"
    inside = ", each tunnel inside the one before" if route.nested and len(hops) > 1 else ""
    return f"through {' > '.join(hops)}{inside}, to {end}"
