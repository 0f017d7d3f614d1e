"""
From the routes in a configuration to the router.
"""

from __future__ import annotations

from mimetypes import guess_type

from hermes.config import DirectUpstream, NodeConfig, RouteConfig
from hermes.config.actions import HeadersConfig, RedirectConfig, RespondConfig, RewriteConfig
from hermes.errors import HermesError
from hermes.fabric.router import Route, Router
from hermes.http.actions import HeaderChanges, Mirror, Redirect, RequestActions, Respond, Rewrite
from hermes.http.reliable import Delivery
from hermes.http.texts import Text
from hermes.ip.plane import AddressPlan, PacketConfig
from hermes.ip.table import PacketRule, PacketTable
from hermes.matching.regex import Regex

NOTHING = RequestActions()


def makeRouter(config: NodeConfig) -> Router:
    """
    The router of a configuration. A route without a name is called by its place, as in the messages about the file.

    @raise HermesError: where a file that a route answers with can't be read.
    """
    # To an upstream without endpoints is to the flow's own target: it names no address, and so allows none that is
    # special-purpose.
    targetAsAsked = {
        name
        for name, upstream in config.upstreams.items()
        if isinstance(upstream, DirectUpstream) and not upstream.endpoints
    }
    return Router(
        [
            Route(
                match=route.match.match(),
                name=route.name or str(place),
                to=None if route.to in targetAsAsked else route.to,
                via=route.via,
                nested=route.nested,
                backup=route.backup,
                deny=route.deny,
                allowSpecial=route.allowSpecial,
                actions=makeActions(route),
                split=tuple(route.split.items()),
                # A flow that such a route took would go to its target, past what was to be done.
                requestsOnly=bool(route.split or route.redirect or route.respond or route.assist),
            )
            for place, route in enumerate(config.routes)
        ]
    )


def makePackets(config: NodeConfig) -> PacketConfig:
    """
    What a configuration says of IP packets. Routes are called as in L{makeRouter}.
    """
    ip = config.ip
    rules = []
    for place, route in enumerate(config.routes):
        if not route.match.packets:
            continue
        # An upstream that is a proxy is the last hop.
        last = (route.to,) if route.to is not None and route.to in config.upstreams else ()
        hops = (*route.via, *last)
        rules.append(
            PacketRule(
                match=route.match.match(),
                transports=frozenset(route.match.transport),
                name=route.name or str(place),
                to=None if hops else route.to,
                via=hops,
                nested=route.nested,
                backup=tuple((*way, *last) for way in route.backup),
                deny=route.deny,
                silent=route.silent,
            )
        )
    plan = AddressPlan(
        ip.pools,
        {str(name): addresses for name, addresses in ip.reserved.items()},
        {str(name): networks for name, networks in ip.networks.items()},
        ip.leases,
    )
    return PacketConfig(PacketTable(tuple(rules)), plan)


def makeActions(route: RouteConfig) -> RequestActions | None:
    """
    What a route does to requests; L{None} where that is nothing.

    @raise HermesError: where the file that it answers with can't be read.
    """
    actions = RequestActions(
        rewrite=_rewrite(route.rewrite),
        headers=_changes(route.headers),
        responseHeaders=_changes(route.responseHeaders),
        redirect=_redirect(route.redirect),
        respond=_respond(route.respond),
        mirror=Mirror(route.mirror.to, route.mirror.share) if route.mirror is not None else None,
        split=tuple(route.split.items()),
        delivery=_delivery(route),
        assist=route.assist,
    )
    return None if actions == NOTHING else actions


def _delivery(route: RouteConfig) -> Delivery | None:
    retry, resume = route.retry, route.resume
    if retry is None and route.timeout is None and resume is None:
        return None
    return Delivery(
        None if retry is None else retry.policy(), route.timeout, None if resume is None else resume.policy()
    )


def _rewrite(config: RewriteConfig | None) -> Rewrite | None:
    if config is None:
        return None
    return Rewrite(
        host=_text(config.host),
        path=_text(config.path),
        prefix=None if config.prefix is None else config.prefix.encode(),
        regex=None if config.regex is None else Regex(config.regex),
        substitution=config.substitution or "",
    )


def _changes(config: HeadersConfig | None) -> HeaderChanges | None:
    if config is None:
        return None
    return HeaderChanges(
        set=tuple((name.encode(), Text(text)) for name, texts in config.set.items() for text in texts),
        add=tuple((name.encode(), Text(text)) for name, texts in config.add.items() for text in texts),
        remove=frozenset(name.encode() for name in config.remove),
    )


def _redirect(config: RedirectConfig | None) -> Redirect | None:
    if config is None:
        return None
    return Redirect(
        to=_text(config.to),
        scheme=None if config.scheme is None else config.scheme.encode(),
        host=_text(config.host),
        path=_text(config.path),
        status=config.status,
    )


def _respond(config: RespondConfig | None) -> Respond | None:
    if config is None:
        return None
    body, kind = (config.body or "").encode(), "text/plain; charset=utf-8"
    if config.file is not None:
        try:
            with open(config.file, "rb") as file:
                body = file.read()
        except OSError as error:
            raise HermesError(f"{config.file}: {error.strerror}") from error
        kind = guess_type(config.file)[0] or "application/octet-stream"
    headers = tuple((name.encode(), value.encode()) for name, value in config.headers.items())
    if body and "content-type" not in config.headers:
        headers = (*headers, (b"content-type", kind.encode()))
    return Respond(config.status, body, headers)


def _text(text: str | None) -> Text | None:
    return None if text is None else Text(text)
