"""
What no value can tell by itself: whether the names in a configuration name something, and whether the parts that
one part needs are there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from hermes.config.problems import KeyPath, Misfit, nearest
from hermes.config.schema import NodeConfig, UserConfig
from hermes.config.upstreams import DirectUpstream, HermesUpstream, MasqueUpstream
from hermes.interfaces import IListenerType


def danglingReferences(document: object, endingTypes: Collection[str] = ()) -> Iterator[tuple[KeyPath, Misfit]]:
    """
    References that name nothing, in plain values: so they are found also where other things are wrong. What has not the
    form it should is passed over; the structurer tells of it.

    @param endingTypes: the types of listeners that routes may name in C{to}.
    """
    top = _mapping(document)
    upstreams = _mapping(top.get("upstreams"))
    listeners = _mapping(top.get("listeners"))
    users = _mapping(top.get("users"))
    ending = [name for name, one in listeners.items() if _mapping(one).get("type") in endingTypes]
    hops = [name for name, upstream in upstreams.items() if _mapping(upstream).get("type") != "direct"]
    assist = _mapping(top.get("assist"))
    # Whoever authenticates may name users that are not in this file.
    authenticated = any(_mapping(one).get("type") == "authentication" for one in assist.values())
    for name, listener in listeners.items():
        path: KeyPath = ("listeners", name, "assist")
        yield from _unknown(path, _mapping(listener).get("assist"), "assisting component", assist)
    yield from _namesAndObjects(listeners, assist)
    routes = top.get("routes")
    for number, item in enumerate(routes if isinstance(routes, list) else ()):
        route = _mapping(item)
        match = _mapping(route.get("match"))
        here: KeyPath = ("routes", number)
        yield from _unknown((*here, "to"), route.get("to"), "upstream", [*upstreams, *ending])
        for name in _mapping(route.get("split")):
            for _, misfit in _unknown((), name, "upstream", upstreams):
                yield (*here, "split", name), Misfit(misfit.message, misfit.suggestion, atKey=True)
        yield from _unknown((*here, "mirror", "to"), _mapping(route.get("mirror")).get("to"), "upstream", upstreams)
        yield from _unknown((*here, "assist"), route.get("assist"), "assisting component", assist)
        yield from _unknown((*here, "match", "listener"), match.get("listener"), "listener", listeners)
        if not authenticated:
            yield from _unknown((*here, "match", "user"), match.get("user"), "user", users)
        for path, name, first in _hops(route, here):
            # Past the first, a hop is a name that the one before it knows. Nested, we must know it: its certificate is
            # ours to check.
            if name in hops or not (first or route.get("nested") is True):
                continue
            if name in upstreams:
                message = f"{name!r} is of type direct: a flow goes via upstreams of type hermes or masque"
                yield path, Misfit(message, nearest(name, hops))
            else:
                yield from _unknown(path, name, "upstream", hops)


def _namesAndObjects(listeners: dict[str, Any], assist: dict[str, Any]) -> Iterator[tuple[KeyPath, Misfit]]:
    """
    What forwarders of NDN and assisting components know each other by.
    """
    caches = [name for name, one in assist.items() if _mapping(one).get("type") == "cache"]
    forwarders = [name for name, one in listeners.items() if _mapping(one).get("type") == "ndn"]
    for name in forwarders:
        path: KeyPath = ("listeners", name, "cache")
        yield from _unknown(path, _mapping(listeners[name]).get("cache"), "assisting component of type cache", caches)
    for name, one in assist.items():
        if _mapping(one).get("type") == "ndn":
            path = ("assist", name, "forwarder")
            yield from _unknown(path, _mapping(one).get("forwarder"), "listener of type ndn", forwarders)


def _hops(route: dict[str, Any], here: KeyPath) -> Iterator[tuple[KeyPath, str, bool]]:
    """
    The hops that a route names: where, the name, and whether it is the first of its way.
    """
    backup = route.get("backup")
    ways: list[tuple[KeyPath, object]] = [((*here, "via"), route.get("via"))]
    ways += [((*here, "backup", place), way) for place, way in enumerate(backup if isinstance(backup, list) else ())]
    for way, names in ways:
        for path, name in _names(way, names):
            yield path, name, path in (way, (*way, 0))


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _names(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, str):
                yield (*path, index), item


def _unknown(path: KeyPath, value: object, what: str, known: Iterable[str]) -> Iterator[tuple[KeyPath, Misfit]]:
    for place, name in _names(path, value):
        if name not in known:
            suggestion = nearest(name, known)
            listed = f" (there is {', '.join(known)})" if known and suggestion is None else ""
            yield place, Misfit(f"no {what} is called {name!r}{listed}", suggestion)


def missingParts(config: NodeConfig, listenerTypes: Mapping[str, IListenerType]) -> Iterator[tuple[KeyPath, Misfit]]:
    """
    Parts that need another part which is not there, and addresses and tokens that are given twice.
    """
    if config.identity is None:
        yield from _identityNeeded(config)
    yield from _endpointsNeeded(config)
    yield from _wrongEnds(config, listenerTypes)
    if config.workers > 1:
        yield from _oneWorkerNeeded(config, listenerTypes)
    yield from _boundTwice(config)
    yield from sameTokens(config.users.items())


def sameTokens(users: Iterable[tuple[str, UserConfig]]) -> Iterator[tuple[KeyPath, Misfit]]:
    """
    Users who have the token of another one: it could not be told who comes.
    """
    owners: dict[str, str] = {}
    for name, user in users:
        owner = name if user.token is None else owners.setdefault(user.token, name)
        if owner != name:
            yield ("users", name, "token"), Misfit(f"{owner!r} has the same token")


def _oneWorkerNeeded(
    config: NodeConfig, listenerTypes: Mapping[str, IListenerType]
) -> Iterator[tuple[KeyPath, Misfit]]:
    """
    What several processes can't share.
    """
    for name, listener in config.listeners.items():
        if endsOf(listenerTypes.get(listener.type)):
            yield ("listeners", name), Misfit(f"a listener of type {listener.type} goes with one worker")
    for number, route in enumerate(config.routes):
        if route.match.packets:
            yield ("routes", number), Misfit("IP packets are forwarded by one process: they go with one worker")


def _wrongEnds(config: NodeConfig, listenerTypes: Mapping[str, IListenerType]) -> Iterator[tuple[KeyPath, Misfit]]:
    """
    Routes whose C{to} can't take what they match.
    """
    for number, route in enumerate(config.routes):
        if route.to is None:
            continue
        path: KeyPath = ("routes", number, "to")
        listener = config.listeners.get(route.to)
        if route.to in config.upstreams or listener is None:
            if route.match.packets and isinstance(config.upstreams.get(route.to), DirectUpstream):
                message = f"{route.to!r} is of type direct: packets go to a listener of type tun, or to another proxy"
                yield path, Misfit(message)
            continue
        ends = endsOf(listenerTypes.get(listener.type))
        if route.via:
            yield path, Misfit(f"{route.to!r} is a listener of this node: what ends here goes via no hops")
            continue
        if route.match.requestsOnly:
            yield path, Misfit(f"{route.to!r} is a listener of type {listener.type}: it takes no HTTP requests")
            continue
        if route.match.packets and "ip" not in ends:
            yield path, Misfit(f"no IP packets end at {route.to!r}, a listener of type {listener.type}")
        elif not route.match.packets and "ip" in ends:
            yield path, Misfit(f"only IP packets end at {route.to!r}: give the match 'protocol: ip'")


def endsOf(listenerType: object) -> tuple[str, ...]:
    """
    The protocols of what may end at a listener of some type: that a route may send there with C{to}.
    """
    return tuple(getattr(listenerType, "ends", ()))


def _endpointsNeeded(config: NodeConfig) -> Iterator[tuple[KeyPath, Misfit]]:
    bare = {
        name
        for name, upstream in config.upstreams.items()
        if isinstance(upstream, DirectUpstream) and not upstream.endpoints
    }
    for number, route in enumerate(config.routes):
        copied = () if route.mirror is None else (route.mirror.to,)
        for key, names in (("split", tuple(route.split)), ("mirror", copied)):
            for name in bare.intersection(names):
                yield ("routes", number, key), Misfit(f"the upstream {name!r} has no endpoints to send requests to")


def _identityNeeded(config: NodeConfig) -> Iterator[tuple[KeyPath, Misfit]]:
    for name, upstream in config.upstreams.items():
        if isinstance(upstream, HermesUpstream):
            yield ("upstreams", name), Misfit("an upstream of type hermes needs the node's 'identity'")
        elif isinstance(upstream, MasqueUpstream) and upstream.clientCertificate:
            yield ("upstreams", name, "clientCertificate"), Misfit("needs the node's 'identity'")
    for name, listener in config.listeners.items():
        if getattr(listener.options, "tls", False) is True and not getattr(listener.options, "certificates", ()):
            yield ("listeners", name), Misfit("a listener with TLS needs the node's 'identity'")


def _boundTwice(config: NodeConfig) -> Iterator[tuple[KeyPath, Misfit]]:
    binds: list[tuple[KeyPath, str, bool, object]] = []
    for name, listener in config.listeners.items():
        bind = getattr(listener.options, "bind", None)
        if isinstance(bind, tuple):
            # Each says what it is for.
            for number, each in enumerate(bind):
                transport, _, place = str(each).partition(":")
                path: KeyPath = ("listeners", name, "bind", number)
                binds.append((path, name, transport == "udp", str(each) if transport == "unix" else place))
        else:
            binds.append((("listeners", name, "bind"), name, listener.type == "udp", bind))
    if config.admin is not None:
        binds.append((("admin", "bind"), "admin", False, config.admin.bind))
    seen: dict[tuple[bool, str], str] = {}
    for path, name, isUDP, bind in binds:
        if not isinstance(bind, str) or bind.endswith(":0"):
            continue
        # A Unix socket's path is one, whatever is sent over it.
        key = (isUDP and not bind.startswith("unix:"), bind)
        if key in seen:
            yield path, Misfit(f"{bind} is taken by {seen[key]!r}")
        seen.setdefault(key, name)
