"""
Tests for L{hermes.ndn.options}: what a configuration may say.
"""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.config import ConfigError, NodeConfig, loadNodeText
from hermes.config.reference import reference
from hermes.config.types import Name
from hermes.listeners import assistantTypes, listenerTypes
from hermes.ndn.options import FaceOptions, NDNOptions, PrefixOptions

# What the loader makes of text has types of its own.
Options: Any = NDNOptions
Face: Any = FaceOptions
Prefix: Any = PrefixOptions

WHOLE = """
    node: edge
    listeners:
      names:
        type: ndn
        bind: [unix:ndn.sock, "tcp:127.0.0.1", "udp:[::1]:7000", "ws:127.0.0.1:9696"]
        multicast: eth0
        store: 64MiB
        keepsUnsolicited: true
        pitCapacity: 1MiB
        regions: [/net/site, "ndn:/other/"]
        faces:
          one: {to: "udp:onl.ndn.hermes"}
          two: {to: "ws:arl.ndn.hermes:80/ndn", persistency: persistent, reliability: true}
          nfd: {to: unix:nfd.sock, direct: true, mtu: 1400, congestionMarks: false}
        prefixes:
          - {prefix: /onl, face: one, cost: 10}
          - {prefix: "ndn:/arl/", face: two}
        strategies: {/arl: asf, /: best-route}
        idle: 5m
        origins: [https://app.example]
"""


class OptionsTests(SynchronousTestCase):
    """
    C{type: ndn}.
    """

    def load(self, text: str) -> NodeConfig:
        """
        A configuration in /etc/hermes.
        """
        return loadNodeText(dedent(text), "edge.yaml", "/etc/hermes", listenerTypes(), assistantTypes())

    def wrong(self, options: str, more: str = "") -> list[str]:
        """
        What is wrong with a listener's options, without the place in the file.
        """
        with self.assertRaises(ConfigError) as caught:
            self.load(f"node: edge\n{more}\nlisteners: {{names: {{type: ndn, {options}}}}}")
        return [str(problem).split(": ", 1)[1].removeprefix("listeners.") for problem in caught.exception.problems]

    def test_whatThereIs(self) -> None:
        options = self.load(WHOLE).listeners[Name("names")].options
        self.assertEqual(
            options,
            Options(
                bind=("unix:/etc/hermes/ndn.sock", "tcp:127.0.0.1:6363", "udp:[::1]:7000", "ws:127.0.0.1:9696"),
                multicast=("eth0",),
                store=64 << 20,
                keepsUnsolicited=True,
                pitCapacity=1 << 20,
                regions=("/net/site", "/other"),
                faces={
                    "one": Face("udp:onl.ndn.hermes:6363"),
                    "two": Face("ws:arl.ndn.hermes:80/ndn", False, "persistent", None, True),
                    "nfd": Face("unix:/etc/hermes/nfd.sock", True, "permanent", 1400, False, False),
                },
                prefixes=(Prefix("/onl", "one", 10), Prefix("/arl", "two")),
                strategies={"/arl": "asf", "/": "best-route"},
                idle=300.0,
                origins=("https://app.example",),
            ),
        )

    def test_oneAddressNeedsNoList(self) -> None:
        options = (
            self.load("node: a\nlisteners: {names: {type: ndn, bind: unix:/run/ndn.sock}}")
            .listeners[Name("names")]
            .options
        )
        self.assertEqual(options, Options(bind=("unix:/run/ndn.sock",)))

    def test_addressesThatAreNone(self) -> None:
        for address, sentence in (
            (
                "127.0.0.1:6363",
                "'127.0.0.1:6363' is no address of a face: write unix:PATH, or udp:, tcp: or ws: and HOST:PORT",
            ),
            ("udp:", "'' names no host"),
            ("tcp:a:x", "'a:x': 'x' is not a port"),
            ("tcp:a b", "'a b' is not a host name"),
            ("'unix:'", "'unix:' names no path: write unix:PATH"),
        ):
            (problem,) = self.wrong(f"bind: ['{address.strip(chr(39))}']")
            self.assertEqual(problem, f"names.bind[0]: {sentence}")

    def test_aPrefixLeadsToAFaceThatThereIs(self) -> None:
        (problem,) = self.wrong("faces: {one: {to: 'udp:a'}}, prefixes: [{prefix: /a, face: won}]")
        self.assertEqual(problem, "names.prefixes[0].face: no face is called 'won'; did you mean 'one'?")

    def test_aPrefixMayLeadToTheNeighboursOnAnInterface(self) -> None:
        config = self.load(
            "node: a\nlisteners: {names: {type: ndn, multicast: eth0.1, prefixes: [{prefix: /a, face: eth0.1}]}}"
        )
        options: Any = config.listeners[Name("names")].options
        self.assertEqual(options.prefixes, (Prefix("/a", "eth0.1"),))
        (problem,) = self.wrong("multicast: [eth0], prefixes: [{prefix: /a, face: eth1}]")
        self.assertEqual(problem, "names.prefixes[0].face: no face is called 'eth1'; did you mean 'eth0'?")

    def test_namesThatAreNone(self) -> None:
        faces = "faces: {one: {to: 'udp:a'}}"
        (problem,) = self.wrong(f"{faces}, prefixes: [{{prefix: a, face: one}}]")
        self.assertEqual(problem, "names.prefixes[0].prefix: 'a' is no NDN name: write /COMPONENT/COMPONENT")
        (problem,) = self.wrong(f"{faces}, prefixes: [{{prefix: /seg=x, face: one}}]")
        self.assertTrue(problem.startswith("names.prefixes[0].prefix: "), problem)
        (problem,) = self.wrong("regions: [/a, b]")
        self.assertEqual(problem, "names.regions[1]: 'b' is no NDN name: write /COMPONENT/COMPONENT")
        (problem,) = self.wrong("regions: [/]")
        self.assertEqual(problem, "names.regions[0]: a region has a name")
        (problem,) = self.wrong("strategies: {a: asf}")
        self.assertIn("'a' is no NDN name", problem)
        (problem,) = self.wrong("strategies: {/%GG: asf}")
        self.assertTrue(problem.startswith("names.strategies"), problem)

    def test_strategiesThatCanNotBeChosen(self) -> None:
        there = "there are asf, best-route, multicast, random"
        for strategy, sentence in (
            ("asff", f"there is no strategy 'asff': {there}; did you mean 'asf'?"),
            ("/localhost/nfd/strategy/asf/v=1", "/localhost/nfd/strategy/asf has version 5, and no version 1"),
            ("asf/max-timeouts~0", "the parameter max-timeouts of the strategy asf is at least 1"),
        ):
            (problem,) = self.wrong(f"strategies: {{/a: {strategy}}}")
            self.assertEqual(problem, f"names.strategies./a: {sentence}")

    def test_numbersAreWithinTheirBounds(self) -> None:
        for options, key in (
            ("mtu: 10", "mtu"),
            ("maxPeers: 0", "maxPeers"),
            ("maxFaces: 0", "maxFaces"),
            ("idle: 0", "idle"),
            ("pitCapacity: 65535", "pitCapacity"),
            ("faces: {one: {to: 'udp:a', mtu: 5}}", "faces.one.mtu"),
        ):
            (problem,) = self.wrong(options)
            self.assertTrue(problem.startswith(f"names.{key}: "), problem)

    def test_addressesAreTakenOnce(self) -> None:
        (problem,) = self.wrong("bind: ['tcp:127.0.0.1:1', 'ws:127.0.0.1:1']")
        self.assertEqual(problem, "names.bind[1]: 127.0.0.1:1 is taken by 'names'")
        (problem,) = self.wrong("bind: ['udp:127.0.0.1:1', 'unix:/x']", "admin: {bind: unix:/x}")
        self.assertIn("unix:/x is taken by", problem)
        binds = "['tcp:127.0.0.1:1', 'udp:127.0.0.1:1', 'tcp:h:0', 'ws:h:0']"
        self.load(f"node: a\nlisteners: {{names: {{type: ndn, bind: {binds}}}}}")

    def test_itIsInOneProcess(self) -> None:
        self.assertEqual(
            self.wrong("bind: 'unix:/x'", "workers: 2"),
            ["names: a listener of type ndn goes with one worker"],
        )

    def test_aRouteMayLeadThere(self) -> None:
        config = """
            node: a
            listeners: {names: {type: ndn}, overlay: {type: tcp, bind: 'a:1', target: 'b:1'}}
            routes: [{match: {target: onl.ndn.hermes}, to: names}]
        """
        self.assertEqual(self.load(config).routes[0].to, "names")
        with self.assertRaises(ConfigError):
            self.load(config.replace("to: names", "to: overlay"))

    def test_theReferenceTellsOfAllKeys(self) -> None:
        text = reference(listenerTypes(), assistantTypes())
        for key in (
            "bind: list of unix:PATH, or udp:",
            "strategies: NAME: text",
            "reliability: true | false",
            "prefix: NDN name",
        ):
            self.assertIn(key, text)
