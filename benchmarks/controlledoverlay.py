"""
The overlay of L{controlledtls}, and the processes of its agents.

    controlledoverlay.py enrol DIRECTORY NODES
    controlledoverlay.py agents DIRECTORY CONTROLLER PART NODES
"""

from __future__ import annotations

import json
import os
import sys
import time
from socket import IPPROTO_TCP, TCP_INFO, socket
from struct import unpack_from
from typing import Any

import yaml

AGENTS = 2
"""
Processes of agents.
"""

TRIAL = 1.0
"""
How long a change is watched, in seconds.
"""

HUBS = 4
"""
Nodes that others connect to: each other one has two of them.
"""


def names(nodes: int) -> list[str]:
    """
    The hubs first.
    """
    hubs = min(HUBS, nodes)
    return [f"hub{number}" for number in range(hubs)] + [f"edge{number:04}" for number in range(nodes - hubs)]


def document(nodes: int, everywhere: int = 0, one: int = 0) -> str:
    """
    An overlay of so many nodes: services on hubs, a policy of ten lines, and users.

    @param everywhere: what is another changes every node.
    @param one: what is another changes the last node.
    """
    found: dict[str, Any] = {}
    links = []
    everyone = names(nodes)
    hubs = [name for name in everyone if name.startswith("hub")]
    for number, name in enumerate(everyone):
        if name in hubs:
            found[name] = {"address": f"{name}.example:8443", "admin": {"bind": f"127.0.0.1:{9000 + everywhere}"}}
            continue
        found[name] = {
            "listeners": {"apps": {"type": "proxy", "bind": "127.0.0.1:3128"}},
            "admin": {"bind": f"127.0.0.1:{9000 + everywhere}"},
        }
        links += [{"between": [name, hubs[(number + place) % len(hubs)]], "weight": 10 + place} for place in (0, 1)]
    links += [{"between": [hub, other], "weight": 5} for hub in hubs for other in hubs if hub < other]
    found[everyone[-1]].setdefault("labels", {})
    found[everyone[-1]]["drain"] = 10.0 + one
    services = {
        f"s{number}.hermes": {
            "on": [hubs[number % len(hubs)], hubs[(number + 1) % len(hubs)]],
            "protocol": "http",
            "endpoints": [f"10.0.{number}.1:80", f"10.0.{number}.2:80"],
        }
        for number in range(8)
    }
    users = {f"user{number}": {"token": f"token-of-user-{number}"} for number in range(10)}
    policy = [{"allow": [f"user:user{number}"], "to": f"s{number}.hermes"} for number in range(8)]
    policy.append({"allow": "node:" + everyone[-1], "to": "s0.hermes"})
    whole = {
        "overlay": "benchmark",
        "nodes": found,
        "links": links,
        "services": services,
        "users": users,
        "policy": policy,
        "settings": {"trial": TRIAL, "decide": 60.0, "reroute": False},
    }
    return yaml.safe_dump(whole, sort_keys=False)


def enrol(directory: str, nodes: int) -> None:
    """
    Make the overlay's authority and store, and every node's certificate.
    """
    from twisted.internet import reactor, task
    from twisted.internet.defer import Deferred

    from hermes.control.agent.files import Files
    from hermes.control.enrolment.authority import openAuthority
    from hermes.control.enrolment.identity import CERTIFICATE, KEY, TRUST
    from hermes.control.enrolment.registrar import NODE_DAYS
    from hermes.control.enrolment.requests import keyText, makeKey
    from hermes.control.store.opening import makeStore
    from hermes.control.values import NodeEntry

    async def run() -> None:
        store = makeStore(reactor, "sqlite:controller.db", directory)
        await store.start()
        authority = await openAuthority(store)
        for name in names(nodes):
            key = makeKey()
            issued = authority.node(name, key.public_key(), NODE_DAYS)
            files = Files(os.path.join(directory, "nodes", name))
            files.create()
            files.write(KEY, keyText(key))
            files.write(CERTIFICATE, issued.text.encode())
            files.write(TRUST, authority.trust.encode())
            entry = NodeEntry(name, issued.serial, time.time(), issued.expires)
            await store.changeNode(name, lambda _, entry=entry: entry)
        await store.close()

    task.react(lambda _: Deferred.fromCoroutine(run()))


def agents(directory: str, controller: str, part: int, nodes: int) -> None:
    """
    Run every L{AGENTS}th agent. To each line it answers what each that is connected has heard, by name: bytes that came
    and that went, how often it has run something, how large that is, and how often it was asked something.
    """
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred, maybeDeferred
    from twisted.internet.stdio import StandardIO
    from twisted.protocols.basic import LineReceiver

    from hermes.control.agent.agent import Agent
    from hermes.control.agent.disk import ConfigurationDisk
    from hermes.control.agent.files import Files
    from hermes.control.agent.recentlog import RecentLog
    from hermes.control.agent.revocations import Revocations
    from hermes.control.membership import Membership
    from hermes.net.descriptorlimit import raiseDescriptorLimit
    from hermes.net.dispatch import installLeanDispatch
    from hermes.net.network import Network
    from hermes.testing.control import FakeRunner

    installLeanDispatch(reactor)
    raiseDescriptorLimit()
    network = Network(reactor)
    members: dict[str, Membership] = {}
    runners: dict[str, FakeRunner] = {}
    asked: dict[str, int] = {}

    class Counting(Agent):
        """
        Counts what a change asks of it.
        """

        def _ask(self, *arguments: Any) -> Any:
            asked[self.name] = asked.get(self.name, 0) + 1
            return super()._ask(*arguments)

        def prepare(self, *arguments: Any) -> Any:
            asked[self.name] = asked.get(self.name, 0) + 1
            return super().prepare(*arguments)

        def health(self) -> Any:
            asked[self.name] = asked.get(self.name, 0) + 1
            return super().health()

    def member(name: str) -> None:
        files = Files(os.path.join(directory, "nodes", name))
        runner = runners[name] = FakeRunner()

        async def begin(identity: Any) -> Counting:
            disk = ConfigurationDisk(Files(files.path("configurations")))
            revocations = Revocations(files, maybeDeferred, lambda serials: None)
            agent = Counting(name, reactor, runner, disk, maybeDeferred, revocations, RecentLog())
            await agent.start()
            return agent

        members[name] = Membership(
            reactor,
            time.time,
            files,
            [controller],
            network.streamClient,
            lambda identity: Deferred.fromCoroutine(begin(identity)),
        )
        members[name].start()

    def heard() -> dict[str, Any]:
        found = {}
        for name, each in members.items():
            session = None if each.client is None else each.client.session
            if session is None:
                continue
            sent, received = carried(session.broker.transport.socket)
            size = len(runners[name].config or b"")
            found[name] = (received, sent, len(runners[name].history), size, asked.get(name, 0))
        return found

    class Answers(LineReceiver):
        """
        A line is a question.
        """

        delimiter = b"\n"

        def lineReceived(self, line: bytes) -> None:
            self.sendLine(json.dumps(heard()).encode())

        def connectionLost(self, reason: Any = None) -> None:
            if reactor.running:  # type: ignore[attr-defined]
                reactor.stop()  # type: ignore[attr-defined]

    StandardIO(Answers())
    for name in names(nodes)[part::AGENTS]:
        member(name)
    reactor.run()  # type: ignore[attr-defined]


def carried(sock: socket) -> tuple[int, int]:
    """
    Bytes that the peer has acknowledged, and that came from it: C{struct tcp_info}.
    """
    data = sock.getsockopt(IPPROTO_TCP, TCP_INFO, 256)
    acknowledged, received = unpack_from("=QQ", data, 120)
    return int(acknowledged), int(received)


if __name__ == "__main__":
    if sys.argv[1] == "enrol":
        enrol(sys.argv[2], int(sys.argv[3]))
    else:
        agents(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
