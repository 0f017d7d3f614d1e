"""
Overlay documents for tests.
"""

from __future__ import annotations

from hermes.control.compiler import Compiled, compile
from hermes.control.document import OverlayDocument, loadOverlay

SMALL = """
overlay: example
nodes:
  edge:    {address: "edge.example:8443", listeners: {apps: {type: proxy, bind: 127.0.0.1:3128}}}
  relay:   {address: "relay.example:8443"}
  other:   {address: "other.example:8443"}
  gateway: {address: "gw.example:8443"}
links:
  - {between: [edge, relay], weight: 10}
  - {between: [relay, gateway], weight: 10}
  - {between: [edge, other], weight: 20}
  - {between: [other, gateway], weight: 20}
services:
  db.hermes:   {on: [gateway], ports: [3306], endpoints: ["10.1.0.5:3306", "10.1.0.6:3306"], balance: least-request}
  shop.hermes: {on: [gateway], protocol: http, endpoints: ["10.1.0.10:80"], health: {path: /healthz}}
users: {alice: {password: wonderland}, bob: {token: hush}}
groups: {admins: [alice]}
policy:
  - {allow: group:admins, to: "db.hermes:3306"}
  - {allow: [user:bob, node:edge], to: shop.hermes, method: GET, path: /public/}
"""

PACKETS = """
overlay: packets
nodes:
  laptop:  {listeners: {vpn: {type: tun, device: hermes0}}}
  relay:   {address: "relay.example:8443"}
  other:   {address: "other.example:8443"}
  gateway:
    address: "gw.example:8443"
    pools: [10.77.0.0/24]
    listeners: {lan: {type: tun, device: hermes0, address: 10.77.0.1/24}}
  branch:
    address: "branch.example:8443"
    networks: [10.5.0.0/16]
    listeners: {lan: {type: tun, device: hermes0, address: 10.5.0.1/16}}
links:
  - {between: [laptop, relay], weight: 10}
  - {between: [relay, gateway], weight: 10}
  - {between: [laptop, other], weight: 20}
  - {between: [other, gateway], weight: 20}
  - {between: [branch, gateway], weight: 5}
prefixes: {10.1.0.0/16: {on: [gateway]}}
policy:
  - {deny: any, to: 10.1.0.0/24, transport: icmp, reason: no ping there, silent: true}
  - {allow: [node:laptop, node:branch], to: 10.1.0.0/16}
"""

NAMES = """
overlay: names
nodes:
  one:   {address: "one.example:8443", listeners: {names: {type: ndn, bind: "tcp:127.0.0.1:0"}}}
  two:   {address: "two.example:8443"}
  three:
    address: "three.example:8443"
    listeners: {forwarder: {type: ndn, bind: "tcp:127.0.0.1:0", faces: {nfd: {to: "tcp:127.0.0.1:1", direct: true}}}}
links: [{between: [one, two]}, {between: [two, three]}]
names: {/onl: {on: [three], strategy: asf}, /arl: {on: [one]}}
"""


def made(text: str) -> tuple[OverlayDocument, Compiled]:
    """
    A document, and what it comes to, which must be right.
    """
    document = loadOverlay(text)
    compiled = compile(document)
    assert not compiled.problems, compiled.problems
    return document, compiled
