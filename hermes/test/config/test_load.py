"""
Tests for L{hermes.config.load}: what a user sees.
"""

from __future__ import annotations

import os
from ipaddress import ip_network
from textwrap import dedent

from attrs import field, frozen
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.config import (
    ConfigError,
    DirectUpstream,
    HermesUpstream,
    MasqueUpstream,
    NodeConfig,
    loadNode,
    loadNodeText,
)
from hermes.config.types import SocketAddress
from hermes.interfaces import IListener, IListenerContext, IListenerType
from hermes.values import Target


@frozen
class KnockOptions:
    """
    Options of a listener type of somebody else.

    @ivar bind: where.
    @ivar target: to where.
    @ivar knocks: how many, 1 to 9.
    @ivar tls: whether over TLS.
    """

    bind: str
    target: Target | None = None
    knocks: int = field(default=3)
    tls: bool = False

    @knocks.validator
    def _oneToNine(self, attribute: object, value: int) -> None:
        if not 1 <= value <= 9:
            raise ValueError(f"{value} knocks: 1 to 9")


@implementer(IListenerType)
class KnockType:
    """
    A listener type of somebody else.
    """

    type = "knock"
    options = KnockOptions

    def listener(self, name: str, options: object, context: IListenerContext) -> IListener:
        """
        Not reached.
        """
        raise NotImplementedError


class LoadTests(SynchronousTestCase):
    """
    YAML to L{NodeConfig}, or to what is wrong.
    """

    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.directory = os.path.abspath(self.directory)
        for name in ("edge.pem", "edge.key", "ca.pem"):
            self.write(name, "pem")

    def write(self, name: str, content: str) -> str:
        """
        A file beside the configuration.
        """
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        return path

    def load(self, text: str) -> NodeConfig:
        """
        Load what is right.
        """
        return loadNodeText(dedent(text), "edge.yaml", self.directory, {"knock": KnockType()})

    def refusal(self, text: str) -> list[str]:
        """
        The lines about what is wrong.
        """
        error = self.assertRaises(ConfigError, self.load, text)
        return str(error).splitlines()

    def test_theExampleOfTheDesignLoads(self) -> None:
        config = self.load(
            """\
            node: edge
            identity: {certificate: edge.pem, key: edge.key, trust: ca.pem}
            listeners:
              knock: {type: knock, bind: "127.0.0.1:3306", target: db.hermes:3306, knocks: 2}
            upstreams:
              relay:   {type: hermes, endpoints: [relay.example:8443]}
              db:      {type: direct, endpoints: [10.1.0.5:3306, 10.1.0.6:3306], balance: least-request}
              envoy:   {type: masque, endpoints: envoy.example:443, version: 1.1, user: me, password: s3cret}
            routes:
              - {match: {target: db.hermes}, to: db, via: [relay]}
              - {match: {user: alice, target: [10.0.0.0/8, ":53"]}, to: relay, allowSpecial: true}
              - {match: {any: true}, deny: no route}
            users: {alice: {password: plain, token: abc}}
            admin: {bind: 127.0.0.1:9901}
            accessLog: {path: access.log}
            workers: 2
            drain: 1m
            """
        )
        assert config.identity is not None and config.admin is not None and config.accessLog is not None
        self.assertEqual(config.node, "edge")
        self.assertEqual(config.identity.key, os.path.join(self.directory, "edge.key"))
        self.assertEqual(config.listeners["knock"].type, "knock")
        self.assertEqual(
            config.listeners["knock"].options, KnockOptions("127.0.0.1:3306", Target("db.hermes", 3306), 2)
        )
        self.assertEqual(config.upstreams["relay"], HermesUpstream((SocketAddress("relay.example:8443"),)))
        self.assertEqual(
            config.upstreams["db"],
            DirectUpstream((SocketAddress("10.1.0.5:3306"), SocketAddress("10.1.0.6:3306")), "least-request"),
        )
        envoy = config.upstreams["envoy"]
        assert isinstance(envoy, MasqueUpstream)
        self.assertEqual((envoy.version, envoy.user, envoy.password), ("1.1", "me", "s3cret"))
        self.assertEqual(config.routes[0].via, ("relay",))
        self.assertEqual(config.routes[1].match.target[0].network, ip_network("10.0.0.0/8"))
        self.assertEqual(config.routes[1].match.target[1].port, 53)
        self.assertEqual(config.routes[2].deny, "no route")
        self.assertEqual((config.workers, config.drain), (2, 60.0))
        self.assertEqual(config.accessLog.path, os.path.join(self.directory, "access.log"))

    def test_theSocketOfAListenerIsRelativeToTheFileToo(self) -> None:
        text = "node: n\nlisteners: {k: {type: knock, bind: 'unix:k.sock'}}"
        config = loadNodeText(text, "n.yaml", "/run/hermes", {"knock": KnockType()})
        self.assertEqual(config.listeners["k"].options, KnockOptions("unix:/run/hermes/k.sock"))
        config = loadNodeText(text.replace("k.sock", "@k"), "n.yaml", "/run/hermes", {"knock": KnockType()})
        self.assertEqual(config.listeners["k"].options, KnockOptions("unix:@k"))

    def test_everythingThatIsWrongIsToldAtOnceInTheOrderOfTheFile(self) -> None:
        lines = self.refusal(
            """\
            nodes: edge
            listeners:
              apps: {type: nock, bind: 127.0.0.1:3128}
              more: {type: knock, bnd: 127.0.0.1:3128}
            upstreams:
              db: {type: direct, endpoints: 10.1.0.5, balance: leastrequest}
              db: {type: direct}
            routes:
              - {match: {usr: alice}, to: dv}
              - {match: {target: 10.1.2.3/8, source: here}, via: [db]}
              - {match: {any: yes}, deny: [no]}
            drain: soon
            """
        )
        self.assertEqual(
            lines,
            [
                "edge.yaml:1:1: nodes: unknown key; did you mean 'node'?",
                "edge.yaml:1:1: node: this key is missing",
                "edge.yaml:3:16: listeners.apps.type: 'nock' is not a type of listener: known are knock; "
                "did you mean 'knock'?",
                "edge.yaml:4:3: listeners.more.bind: this key is missing",
                "edge.yaml:4:23: listeners.more.bnd: unknown key; did you mean 'bind'?",
                "edge.yaml:7:3: upstreams.db: given twice, first on line 6",
                "edge.yaml:9:14: routes[0].match.usr: unknown key; did you mean 'user'?",
                "edge.yaml:9:31: routes[0].to: no upstream is called 'dv'; did you mean 'db'?",
                "edge.yaml:10:22: routes[1].match.target: '10.1.2.3/8' has bits set past its prefix; "
                "did you mean '10.0.0.0/8'?",
                "edge.yaml:10:42: routes[1].match.source: 'here' is not a CIDR prefix such as 10.0.0.0/8",
                "edge.yaml:10:55: routes[1].via[0]: 'db' is of type direct: a flow goes via upstreams of type hermes "
                "or masque",
                "edge.yaml:11:19: routes[2].match.any: expected true or false, found 'yes'",
                "edge.yaml:11:31: routes[2].deny: expected text, found a list",
                "edge.yaml:12:8: drain: 'soon' is not a duration: write a number of seconds, or 500ms, 30s, 5m, 2h",
            ],
        )

    def wrong(self, line: str) -> str:
        """
        The one complaint about a configuration of a node's name and one line.
        """
        lines = self.refusal(f"node: edge\n{line}\n")
        self.assertEqual(len(lines), 1, lines)
        return lines[0].removeprefix("edge.yaml:")

    def test_valuesAreNotCoerced(self) -> None:
        self.assertEqual(self.wrong("workers: two"), "2:10: workers: expected a whole number, found 'two'")
        self.assertEqual(self.wrong("workers: true"), "2:10: workers: expected a whole number, found true")
        self.assertEqual(self.wrong("workers: 0"), "2:10: workers: 0 workers: between 1 and 256 can be run")
        self.assertEqual(
            self.wrong("drain: -1"), "2:8: drain: -1 is negative: a duration is a number of seconds from 0"
        )
        self.assertEqual(self.wrong("routes: {}"), "2:9: routes: expected a list, found a mapping")
        self.assertEqual(self.wrong("users: []"), "2:8: users: expected a mapping, found a list")
        self.assertEqual(self.wrong("admin: x"), "2:8: admin: expected a mapping, found 'x'")

    def test_namesAreChecked(self) -> None:
        message = "is not a name: letters and digits, and between them '.', '_' and '-'"
        self.assertEqual(self.wrong("users: {a b: {token: x}}"), f"2:9: users.a b: 'a b' {message}")

    def test_addressesAreChecked(self) -> None:
        self.assertEqual(
            self.wrong("admin: {bind: 9901}"),
            "2:15: admin.bind: expected text, found the number 9901: put it in quotes",
        )
        self.assertEqual(
            self.wrong("admin: {bind: localhost}"), "2:15: admin.bind: 'localhost' names no port: write HOST:PORT"
        )
        self.assertEqual(
            self.wrong("admin: {bind: '::1:80'}"),
            "2:15: admin.bind: '::1:80': write an IPv6 address in brackets, [ADDRESS]:PORT",
        )
        self.assertEqual(
            self.wrong("admin: {bind: 300.0.0.1:80}"), "2:15: admin.bind: '300.0.0.1' is not an IPv4 address"
        )
        self.assertEqual(self.wrong("admin: {bind: 'a b:80'}"), "2:15: admin.bind: 'a b' is not a host name")
        self.assertEqual(
            self.wrong("admin: {bind: 'unix:'}"), "2:15: admin.bind: 'unix:' names no path: write unix:PATH"
        )
        self.assertIn("longer than the 107 bytes", self.wrong(f"admin: {{bind: 'unix:/{'x' * 120}'}}"))

    def test_aValidatorOfAnExtensionComplainsAtItsOwnKey(self) -> None:
        self.assertEqual(
            self.wrong("listeners: {k: {type: knock, bind: '[::1]:1', knocks: 10}}"),
            "2:55: listeners.k.knocks: 10 knocks: 1 to 9",
        )

    def test_whatNeedsAnIdentitySaysSo(self) -> None:
        self.assertEqual(
            self.wrong("listeners: {k: {type: knock, bind: 'a:1', tls: true}}"),
            "2:16: listeners.k: a listener with TLS needs the node's 'identity'",
        )
        self.assertEqual(
            self.wrong("upstreams: {k: {type: hermes, endpoints: 'a:1'}}"),
            "2:16: upstreams.k: an upstream of type hermes needs the node's 'identity'",
        )

    def test_anAddressIsTakenOnce(self) -> None:
        self.assertEqual(
            self.wrong("listeners: {a: {type: knock, bind: 'h:1'}, b: {type: knock, bind: 'h:1'}}"),
            "2:67: listeners.b.bind: h:1 is taken by 'a'",
        )
        self.load("node: n\nlisteners: {a: {type: knock, bind: 'h:0'}, b: {type: knock, bind: 'h:0'}}")

    def test_filesMustBeThere(self) -> None:
        self.assertEqual(
            self.refusal("node: n\nidentity: {certificate: no.pem, key: edge.key, trust: .}\n"),
            [
                f"edge.yaml:2:25: identity.certificate: there is no file {self.directory}/no.pem",
                f"edge.yaml:2:55: identity.trust: {self.directory} is a directory",
            ],
        )
        self.assertEqual(
            self.wrong("accessLog: {path: no/access.log}"),
            f"2:19: accessLog.path: there is no directory {self.directory}/no",
        )

    def test_aSecretMayBeInAFile(self) -> None:
        self.write("token", "t0p\n")
        config = self.load("node: n\nusers: {alice: {token: {file: token}}}")
        self.assertEqual(config.users["alice"].token, "t0p")

    def test_aSecretIsNotPrinted(self) -> None:
        config = self.load("node: n\nusers: {alice: {token: t0p}}")
        self.assertNotIn("t0p", repr(config))

    def test_secretsAreChecked(self) -> None:
        self.write("empty", "\n")
        self.assertEqual(
            self.wrong("users: {alice: {token: 12}}"),
            "2:24: users.alice.token: expected text (a number needs quotes), or {file: PATH}",
        )
        self.assertEqual(
            self.wrong("users: {alice: {token: {file: no}}}"),
            f"2:31: users.alice.token.file: there is no file {self.directory}/no",
        )
        self.assertEqual(
            self.wrong("users: {alice: {token: {file: empty}}}"),
            f"2:31: users.alice.token.file: {self.directory}/empty is empty",
        )
        self.assertEqual(
            self.wrong("users: {alice: {}}"), "2:16: users.alice: a user needs a 'password', a 'token' or both"
        )

    def test_aTokenIsOneThatCanBeSentAndOneUsersOnly(self) -> None:
        said = self.wrong("users: {alice: {token: no spaces}}")
        self.assertEqual(said, "2:24: users.alice.token: a token has letters, digits and -._~+/ only")
        said = self.wrong("users: {alice: {token: hush}, bob: {token: hush}}")
        self.assertEqual(said, "2:44: users.bob.token: 'alice' has the same token")

    def test_aHashedPasswordIsChecked(self) -> None:
        self.assertEqual(
            self.wrong("users: {alice: {password: 'scrypt:x'}}"),
            "2:27: users.alice.password: a hashed password is written scrypt:N:r:p:salt:hash",
        )

    def test_aTemplateIsChecked(self) -> None:
        self.assertIn(
            "2:59: upstreams.m.template: ",
            self.wrong("upstreams: {m: {type: masque, endpoints: 'a:1', template: '/udp/{target_host}/'}}"),
        )
        self.assertIn(
            "upstreams.m.connectIp: ",
            self.wrong("upstreams: {m: {type: masque, endpoints: 'a:1', connectIp: 'vpn'}}"),
        )
        # RFC 9484 section 3: neither variable need be there.
        self.load("node: n\nupstreams: {m: {type: masque, endpoints: 'a:1', connectIp: /vpn}}")

    def test_actionsThatExcludeEachOtherAreTold(self) -> None:
        self.assertEqual(
            self.wrong("routes: [{match: {any: true}, deny: no, allowSpecial: true}]"),
            "2:37: routes[0].deny: goes with no other action, and 'allowSpecial' is one: the flow is refused",
        )
        self.assertEqual(
            self.wrong("routes: [{match: {any: true}, nested: true}]"), "2:39: routes[0].nested: goes only with 'via'"
        )
        self.assertEqual(
            self.wrong("routes: [{match: {any: true, protocol: tcp}}]"),
            "2:24: routes[0].match.any: 'any: true' takes every flow: it goes with no other key",
        )
        self.assertEqual(
            self.wrong("routes: [{match: {}}]"),
            "2:18: routes[0].match: matches nothing: say 'any: true' for every flow",
        )

    def test_aHopPastTheFirstIsTheNameThatTheOneBeforeItKnows(self) -> None:
        text = """\
        node: n
        upstreams: {r1: {type: masque, endpoints: 'a:1'}}
        routes: [{match: {any: true}, via: [r1, r2], nested: %s}]
        """
        self.assertEqual(self.load(text % "false").routes[0].via, ("r1", "r2"))
        self.assertEqual(
            self.refusal(text % "true"),
            ["edge.yaml:3:41: routes[0].via[1]: no upstream is called 'r2'; did you mean 'r1'?"],
        )

    def test_whatMeansNothingWithoutTLSIsTold(self) -> None:
        self.assertEqual(
            self.wrong("upstreams: {m: {type: masque, endpoints: 'a:1', tls: false, serverName: x}}"),
            "2:73: upstreams.m.serverName: means nothing without TLS",
        )

    def test_aFileThatCanNotBeReadIsNamed(self) -> None:
        path = os.path.join(self.directory, "none.yaml")
        error = self.assertRaises(ConfigError, loadNode, path, {})
        self.assertEqual(str(error), f"{path}: no such file or directory")
        path = self.write("latin.yaml", "")
        with open(path, "wb") as file:
            file.write(b"node: \xff\n")
        error = self.assertRaises(ConfigError, loadNode, path, {})
        self.assertEqual(str(error), f"{path}: not UTF-8 text: byte 6 is wrong")

    def test_pathsAreRelativeToTheFile(self) -> None:
        path = self.write("node.yaml", "node: n\nidentity: {certificate: edge.pem, key: edge.key, trust: ca.pem}\n")
        config = loadNode(path, {})
        assert config.identity is not None
        self.assertEqual(config.identity.trust, os.path.join(self.directory, "ca.pem"))
