"""
The page on authorization: what it has its reader type, and its examples between real clients and servers.
"""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from pathlib import Path
from typing import Any
from unittest import SkipTest

import yaml
from twisted.internet import reactor as theReactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent, readBody
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.static import Data

from hermes.test.assist.tokens import ecKey, jwk, keySet, token
from hermes.test.docs.console import Reader
from hermes.test.docs.pages import DOCS, EXAMPLES, MISSING
from hermes.test.interop.local import Local
from hermes.test.interop.mysqlserver import MySQLServer
from hermes.test.interop.processes import Node, ProcessCase
from hermes.test.interop.test_applications import useMySQL

reactor: Any = theReactor

FAR = 4_000_000_000
"""
The end of tokens: a long time from now.
"""


class PageTests(SynchronousTestCase):
    """
    Every command of the page runs, and prints what it says.
    """

    skip = MISSING or (None if shutil.which("curl") else "this machine has no curl")

    def test_everyCommandPrintsWhatIsSaid(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        reader = Reader(directory)
        reader.substitute(8080, 8081, 8082)
        self.addCleanup(reader.stop)
        reader.follow(DOCS / "howto" / "authorization.md")


class ExampleCase(ProcessCase):
    """
    What these tests share.
    """

    skip = MISSING

    def setUp(self) -> None:
        super().setUp()
        self.local = Local(self)
        (self.directory / "secrets").mkdir()

    async def example(self, name: str, changes: dict[str, str], **sections: Any) -> Node:
        """
        Run a node of an example, with other addresses.

        @param changes: what stands in place of what.
        """
        text = (EXAMPLES / f"{name}.yaml").read_text()
        for old, new in changes.items():
            self.assertIn(old, text)
            text = text.replace(old, new)
        config = yaml.safe_load(text)
        return await self.node(config.pop("node"), **config, **sections)


class DatabaseTests(ExampleCase):
    """
    A MySQL behind CONNECT.
    """

    async def gateway(self) -> Node:
        """
        Run the gateway, its database, and the login whose keys it gets.
        """
        self.mysql = await self.local.server(MySQLServer)
        self.login = Resource()
        self.login.putChild(b"keys.json", Data(keySet(jwk(ecKey(), "k1")), "application/json"))
        port = await self.local.site(self.login)
        return await self.example(
            "database",
            {
                "https://login.example/keys.json": f"http://127.0.0.1:{port}/keys.json",
                "0.0.0.0:3128": "127.0.0.1:0",
                "10.1.0.5:3306": f"127.0.0.1:{self.mysql.port}",
            },
        )

    def token(self, key: Any = None, algorithm: str = "ES256", **claims: Any) -> bytes:
        everything = {"iss": "https://login.example", "aud": "databases", "exp": FAR, "iat": 0, **claims}
        return token(ecKey() if key is None else key, algorithm, {"kid": "k1"}, **everything)

    async def laptop(self, gateway: Node, given: bytes, number: int = 0) -> Node:
        """
        Run a laptop whose user has C{given}.
        """
        (self.directory / "secrets" / f"token{number}").write_bytes(given + b"\n")
        return await self.example(
            "laptop",
            {
                "127.0.0.1:3306": "127.0.0.1:0",
                "gateway.example:3128": gateway.address("apps"),
                "secrets/token": f"secrets/token{number}",
                "node: laptop": f"node: laptop{number}",
            },
        )

    async def connect(
        self, gateway: Node, credential: bytes | None, target: str = "db.hermes:3306"
    ) -> tuple[int, bytes]:
        """
        Ask for a tunnel.

        @return: the status, and the head.
        """
        stream = await self.local.connect(gateway.ports["apps"])
        fields = b"" if credential is None else b"Proxy-Authorization: Bearer %s\r\n" % credential
        stream.write(b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (target.encode(), target.encode(), fields))
        await stream.until(lambda: b"\r\n\r\n" in stream.received)
        head = bytes(stream.received).partition(b"\r\n\r\n")[0]
        return int(head.split(b" ")[1]), head.lower()

    async def test_itsPolicyIsAboutWhoseTokenItIs(self) -> None:
        gateway = await self.gateway()
        laptops = await gatherResults(
            Deferred.fromCoroutine(self.laptop(gateway, given, number))
            for number, given in enumerate((self.token(), self.token(sub="bob", groups=["dba", "dev"])))
        )
        for laptop in laptops:
            await deferToThread(useMySQL, laptop.ports["mysql"])
        for user in ("alice", "bob"):
            self.assertEqual((await gateway.flow(event="closed", user=user))["target"], "db.hermes:3306")

    async def test_othersAreToldWhyNot(self) -> None:
        gateway = await self.gateway()
        expired = b'bearer realm="gateway", error="invalid_token", error_description="the token has expired"'
        confused = self.token(b"x" * 32, "HS256")
        for credential, status, told in (
            (self.token(sub="carol"), 403, b"ask the database administrators"),
            (self.token(sub="carol", groups=["dev"]), 403, b"ask the database administrators"),
            (None, 407, b'proxy-authenticate: bearer realm="gateway"\r\n'),
            (self.token(exp=1000), 407, expired),
            (self.token(aud="mail"), 407, b"another audience"),
            (self.token(iss="https://mallory.example"), 407, b"another issuer"),
            (self.token(ecKey(5)), 407, b"signature"),
            (confused, 407, b"algorithm"),
        ):
            found, head = await self.connect(gateway, credential)
            self.assertEqual(found, status, head)
            self.assertIn(told, head + b"\r\n")
        status, _ = await self.connect(gateway, self.token(), "10.9.8.7:25")
        self.assertEqual((status, self.mysql.streams), (403, []))

    async def test_aClientCannotSetWhatTheTokenSays(self) -> None:
        gateway = await self.gateway()
        stream = await self.local.connect(gateway.ports["apps"])
        stream.write(
            b"CONNECT db.hermes:3306 HTTP/1.1\r\nHost: db.hermes:3306\r\nX-Groups: dba\r\n"
            b"Proxy-Authorization: Bearer %s\r\n\r\n" % self.token(sub="carol")
        )
        await stream.until(lambda: b"\r\n\r\n" in stream.received)
        self.assertTrue(bytes(stream.received).startswith(b"HTTP/1.1 403 "))


class PolicyAgent(Resource):
    """
    What C{opa run --server policy.rego} does with one decision. Where rego-cpp is installed, it decides.
    """

    isLeaf = True

    def __init__(self, policy: str) -> None:
        super().__init__()
        try:
            from regopy import Interpreter
        except ImportError:
            raise SkipTest("regopy is not installed") from None
        self._rego = Interpreter()
        self._rego.add_module("policy", policy)
        self.asked: list[dict[str, Any]] = []

    def render_POST(self, request: Any) -> bytes:
        assert request.path == b"/v1/data/hermes/decision"
        asked = json.loads(request.content.read())["input"]
        self.asked.append(asked)
        self._rego.set_input(asked)
        (result,) = json.loads(str(self._rego.query("data.hermes.decision")))["expressions"]
        request.setHeader(b"content-type", b"application/json")
        return json.dumps({"result": result}).encode()


class OpenPolicyAgentTests(ExampleCase):
    """
    The policy in Rego.
    """

    async def setUpAll(self) -> Node:
        """
        Run the proxy, the sites behind it, and what stands for the agent.
        """
        self.agent = PolicyAgent((EXAMPLES / "policy.rego").read_text())
        plain, fast = Data(b"plain", "text/plain"), Data(b"fast", "text/plain")
        plain.isLeaf = fast.isLeaf = True
        return await self.example(
            "opa",
            {
                "127.0.0.1:8080": "127.0.0.1:0",
                "127.0.0.1:8181": f"127.0.0.1:{await self.local.site(self.agent)}",
                "127.0.0.1:8081": f"127.0.0.1:{await self.local.site(plain)}",
                "127.0.0.1:8082": f"127.0.0.1:{await self.local.site(fast)}",
            },
        )

    async def get(self, node: Node, path: str, user: str = "", **fields: str) -> tuple[int, bytes]:
        """
        Ask, as somebody.
        """
        headers = Headers({name.replace("_", "-"): [value] for name, value in fields.items()})
        if user:
            headers.addRawHeader(b"authorization", b"Basic " + b64encode(user.encode()))
        url = f"http://{node.address('web')}{path}".encode()
        response = await Agent(reactor).request(b"GET", url, headers)
        return response.code, await readBody(response)

    async def test_itDecidesAndItsAnswerIsRouted(self) -> None:
        node = await self.setUpAll()
        alice, bob = "alice:wonderland", "bob:builder"
        for path, user, expected in (
            ("/", alice, (200, b"fast")),
            ("/", bob, (200, b"plain")),
            ("/admin/x", alice, (200, b"fast")),
            ("/admin/x", bob, (404, b"there is nothing here\n")),
            ("/%61dmin/x", bob, (404, b"there is nothing here\n")),
            ("/x%2F..%2Fadmin", bob, (404, b"there is nothing here\n")),
        ):
            self.assertEqual(await self.get(node, path, user), expected, (path, user))
        self.assertEqual(await self.get(node, "/", bob, x_tier="gold"), (200, b"plain"))
        self.assertEqual((await self.get(node, "/"))[0], 401)
        asked = len(self.agent.asked)
        self.assertEqual(await self.get(node, "/", bob), (200, b"plain"))
        self.assertEqual(len(self.agent.asked), asked)
        self.assertEqual(self.agent.asked[0], {"user": "alice", "method": "GET", "path": "/", "pathSegments": []})
