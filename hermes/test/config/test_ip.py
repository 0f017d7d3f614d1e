"""
Tests for what the configuration says of IP packets.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config import ConfigError, NodeConfig, loadNodeText
from hermes.routing import makePackets

HEAD = """
node: edge
listeners:
  lan: {type: tun, device: hermes0, address: 10.0.0.1/24}
  web: {type: http, bind: 127.0.0.1:0}
upstreams:
  site: {type: masque, endpoints: [127.0.0.1:1]}
  stock: {type: direct, endpoints: [127.0.0.1:2]}
"""


def load(text: str) -> NodeConfig:
    """
    Load a node.
    """
    return loadNodeText(HEAD + text, "node.yaml", "/")


class IPTests(SynchronousTestCase):
    """
    Routes of packets, and addresses.
    """

    def wrong(self, text: str, *said: str) -> None:
        """
        It is refused with these words.
        """
        with self.assertRaises(ConfigError) as caught:
            load(text)
        for words in said:
            self.assertIn(words, str(caught.exception))

    def test_whatItSaysIsTaken(self) -> None:
        """
        Another proxy in C{to} is the last hop.
        """
        config = load(
            """
ip: {pools: [10.0.0.0/24], reserved: {alice: 10.0.0.5}, networks: {branch: [10.5.0.0/16]}}
routes:
  - {match: {protocol: ip, target: "10.1.0.0/16:53", transport: [udp, 6]}, via: site}
  - {match: {protocol: ip}, to: lan}
  - {match: {protocol: ip, transport: icmp}, to: site}
  - {match: {protocol: ip, target: 10.9.0.0/16}, deny: closed, silent: true}
"""
        )
        packets = makePackets(config)
        rules = packets.table.rules
        self.assertEqual(
            [(rule.via, rule.to) for rule in rules], [(("site",), None), ((), "lan"), (("site",), None), ((), None)]
        )
        self.assertEqual((rules[0].transports, rules[3].silent), (frozenset((17, 6)), True))
        self.assertEqual([str(pool) for pool in packets.plan.pools], ["10.0.0.0/24"])
        self.assertEqual(str(packets.plan.reserved["alice"][0]), "10.0.0.5")
        self.assertEqual(str(packets.plan.networks["branch"][0]), "10.5.0.0/16")

    def test_packetsHaveRoutesOfTheirOwn(self) -> None:
        """
        Which are about addresses, and do nothing to requests.
        """
        self.wrong("routes: [{match: {protocol: [ip, tcp]}}]", "routes[0].match.protocol", "'ip' goes with no other")
        self.wrong("routes: [{match: {transport: tcp}}]", "routes[0].match.transport", "'protocol: ip'")
        self.wrong("routes: [{match: {protocol: ip, target: db.hermes}}]", "packets have addresses")
        self.wrong("routes: [{match: {protocol: ip, path: /}}]", "takes HTTP requests, and the protocol is none")
        self.wrong("routes: [{match: {protocol: ip}, timeout: 3}]", "is not for IP packets")
        self.wrong(
            "routes: [{match: {any: true}, deny: no, silent: true}]", "goes with 'deny', and with 'protocol: ip'"
        )
        self.wrong("routes: [{match: {protocol: ip, transport: tpc}}]", "'tpc' is not an IP protocol", "tcp")

    def test_packetsEndWherePacketsCan(self) -> None:
        """
        And nothing else does there.
        """
        self.wrong("routes: [{match: {protocol: ip}, to: stock}]", "packets go to a listener of type tun")
        self.wrong("routes: [{match: {protocol: ip}, to: web}]", "no upstream is called 'web'")
        self.wrong("routes: [{match: {protocol: ip}, to: lann}]", "no upstream is called 'lann'", "lan")
        self.wrong("routes: [{match: {any: true}, to: lan}]", "give the match 'protocol: ip'")
        self.wrong("routes: [{match: {protocol: ip}, to: lan, via: site}]", "goes via no hops")
        self.wrong("workers: 2\nroutes: [{match: {protocol: ip}, to: lan}]", "goes with one worker", "one process")

    def test_addressesAreOneHoldersEach(self) -> None:
        """
        Pools do not overlap.
        """
        self.wrong("ip: {pools: [10.0.0.0/8, 10.1.0.0/16]}", "ip.pools[1]", "overlaps 10.0.0.0/8")
        self.wrong("ip: {reserved: {alice: 10.0.0.5, bob: 10.0.0.5}}", "is reserved for alice already")
        self.wrong("ip: {networks: {a: 10.0.0.0/16, b: 10.0.0.0/16}}", "lies behind a already")
        self.wrong("ip: {reserved: {alice: 10.0.0}}", "is not an IP address")
        self.wrong("ip: {pools: [10.0.0.1/8]}", "has bits set past its prefix")

    def test_aDeviceIsWhatAKernelCanMake(self) -> None:
        """
        Each wrong value is told at its key.
        """
        for options, said in (
            ("device: 'a/b'", "is no name of a device"),
            ("mtu: 100", "1280"),
            ("address: 10.0.0.1.2/24", "is not an address with its prefix"),
            ("queues: 0", "queues"),
            ("persist: true", "a persistent device needs a name of its own"),
        ):
            text = f"node: a\nlisteners: {{lan: {{type: tun, {options}}}}}"
            with self.assertRaises(ConfigError) as caught:
                loadNodeText(text, "node.yaml", "/")
            self.assertIn(said, str(caught.exception))
