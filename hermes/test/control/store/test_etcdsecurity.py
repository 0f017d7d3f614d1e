"""
An etcd with TLS, with users, and what is there instead of one.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from hermes.control.store.errors import StoreRefused, StoreUnavailable
from hermes.control.store.etcd.options import EtcdOptions
from hermes.control.store.etcd.store import EtcdStore
from hermes.control.values import NodeEntry
from hermes.interfaces.store import IStore
from hermes.net.authority import OverlayAuthority
from hermes.test.control.store.etcds import SKIP, Etcd
from hermes.test.control.store.user import StoreUser, record


class SecurityCase(TestCase, StoreUser):
    """
    A server of its own.

    @ivar options: how it is reached.
    """

    skip = SKIP

    def setUp(self) -> None:
        self.reactor: Any = reactor
        self.directory = mkdtemp()
        self.addCleanup(rmtree, self.directory)

    def makeStore(self, **changed: Any) -> IStore:
        """
        @param changed: options that are other ones.
        """
        store: IStore = EtcdStore(reactor, evolve(self.options, **changed))
        return store

    def begin(self, server: Etcd) -> Etcd:
        """
        Start it, and end it with the test.
        """
        self.addCleanup(server.stop)
        server.start()
        server.ready()
        self.options = EtcdOptions((server.url,), answer=2.0, patience=1.0)
        return server

    def file(self, name: str, content: str) -> str:
        """
        The path of a file that holds this.
        """
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        return path

    async def why(self, kind: type[Exception], **changed: Any) -> str:
        """
        Why it does not start.
        """
        store = self.makeStore(**changed)
        error = await self.failing(kind, store.start())
        await store.close()
        return str(error)


class TLSTests(SecurityCase):
    """
    A server that wants certificates.
    """

    def setUp(self) -> None:
        super().setUp()
        self.authority = OverlayAuthority.create(Path(self.directory) / "authority")
        self.certificate, self.key = self.authority.issue("etcd", ["127.0.0.1", "localhost"])
        context = ssl.create_default_context(cafile=self.authority.trustFile)
        context.load_cert_chain(self.certificate, self.key)
        self.server = self.begin(
            Etcd(
                scheme="https",
                context=context,
                options=(
                    f"--cert-file={self.certificate}",
                    f"--key-file={self.key}",
                    f"--trusted-ca-file={self.authority.trustFile}",
                    "--client-cert-auth",
                ),
            )
        )
        mine, key = self.authority.issue("controller")
        self.options = evolve(self.options, trust=self.authority.trustFile, certificate=mine, key=key)

    async def test_both_ends_know_each_other(self) -> None:
        store = await self.leading()
        _, following = self.told(store, "versions")
        waiting = following()
        self.assertEqual(await store.appendVersion(record("x" * 2_000_000)), 1)
        await waiting
        self.assertEqual(len((await store.version(1)).document), 2_000_000)

    async def test_a_name_is_checked(self) -> None:
        port = self.server.url.rpartition(":")[2]
        store = self.makeStore(endpoints=(f"https://localhost:{port}",))
        # It listens on 127.0.0.1 only, and its certificate names both.
        await store.start()
        await store.close()
        other, key = self.authority.issue("other", ["other.example"])
        wrong = self.begin(
            Etcd(
                scheme="https",
                context=ssl._create_unverified_context(),
                options=(f"--cert-file={other}", f"--key-file={key}"),
            )
        )
        text = await self.why(StoreUnavailable, endpoints=(wrong.url,), trust=self.authority.trustFile)
        self.assertIn("127.0.0.1", text)

    async def test_another_authority_is_told(self) -> None:
        stranger = OverlayAuthority.create(Path(self.directory) / "stranger")
        text = await self.why(StoreUnavailable, trust=stranger.trustFile)
        self.assertIn("TLS: certificate verify failed", text)

    async def test_without_a_certificate_it_is_refused(self) -> None:
        text = await self.why(StoreUnavailable, certificate=None, key=None)
        self.assertIn(self.server.url, text)

    async def test_files_that_are_missing_or_wrong_are_told(self) -> None:
        text = await self.why(StoreRefused, trust=os.path.join(self.directory, "nothing"))
        self.assertIn("can't be read", text)
        text = await self.why(StoreRefused, trust=self.file("empty.pem", "nothing"))
        self.assertIn("has no certificate in it", text)
        text = await self.why(StoreRefused, key=self.file("broken.key", "nothing"))
        self.assertIn("has no key in it", text)
        _, other = self.authority.issue("other")
        text = await self.why(StoreRefused, key=other)
        self.assertIn("is not the certificate's", text)
        broken = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n"
        text = await self.why(StoreRefused, certificate=self.file("broken.pem", broken))
        self.assertIn("can't be read", text)

    async def test_a_certificate_that_was_renewed_is_used_for_the_next_connection(self) -> None:
        store = await self.opened()
        assert self.options.certificate is not None and self.options.key is not None
        # Nothing that can be used stands there now: what is open goes on.
        os.rename(self.options.key, self.options.key + ".old")
        await store.putNode(NodeEntry("edge"))
        store._gateway._connections.abort()
        await self.failing(StoreRefused, store.nodes())
        self.authority.issue("controller")
        self.assertEqual(len(await store.nodes()), 1)


class UserTests(SecurityCase):
    """
    A server with users.
    """

    def setUp(self) -> None:
        super().setUp()
        self.server = self.begin(Etcd(options=("--bcrypt-cost=4",)))
        ask = self.server.ask
        for name in ("root", "controller", "nobody"):
            ask("/auth/user/add", {"name": name, "password": f"{name}'s"})
        ask("/auth/user/grant", {"user": "root", "role": "root"})
        ask("/auth/role/add", {"name": "hermes"})
        everything = {"permType": "READWRITE", "key": "L2hlcm1lcy8=", "range_end": "L2hlcm1lczA="}
        ask("/auth/role/grant", {"name": "hermes", "perm": everything})
        ask("/auth/user/grant", {"user": "controller", "role": "hermes"})
        ask("/auth/enable", {})
        self.password = self.file("password", "controller's\n")

    async def test_a_user_with_a_password(self) -> None:
        store = await self.leading(user="controller", password=self.password)
        _, following = self.told(store, "nodes")
        waiting = following()
        await store.putNode(NodeEntry("edge"))
        await waiting
        self.assertEqual(await store.appendVersion(record()), 1)
        self.assertEqual(await store.leader(), "here")

    async def test_a_token_that_has_ended_is_replaced(self) -> None:
        store = await self.leading(user="controller", password=self.password)
        _, following = self.told(store, "nodes")
        for _ in range(3):
            store._gateway._token = "ended.1"
            store._watch.stop()
            store._watch.start(store._watch.revision)
            waiting = following()
            await store.changeNode("edge", lambda entry: NodeEntry("edge", (entry.serial if entry else "") + "x"))
            await waiting
        self.assertEqual((await store.node("edge")).serial, "xxx")

    async def test_nobody_is_refused(self) -> None:
        self.assertIn("etcd refuses", await self.why(StoreRefused))

    async def test_a_wrong_password_is_told_and_not_shown(self) -> None:
        text = await self.why(StoreRefused, user="controller", password=self.file("wrong", "sesame"))
        self.assertIn("refuses the user controller", text)
        self.assertNotIn("sesame", text)

    async def test_a_user_without_rights_is_told_what_is_missing(self) -> None:
        text = await self.why(StoreRefused, user="nobody", password=self.file("other", "nobody's"))
        self.assertIn("permission denied", text)
        self.assertIn("role", text)

    async def test_a_password_that_cannot_be_read_is_told(self) -> None:
        text = await self.why(StoreRefused, user="controller", password=os.path.join(self.directory, "nothing"))
        self.assertIn("can't be read", text)

    async def test_a_user_where_none_is_wanted_does_no_harm(self) -> None:
        plain = self.begin(Etcd())
        store = await self.opened(user="controller", password=self.password, endpoints=(plain.url,))
        await store.putNode(NodeEntry("edge"))
        self.assertEqual(len(await store.nodes()), 1)


class Nonsense(Resource):
    """
    Answers everything with the same.
    """

    isLeaf = True

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__()
        self.answer = status, body

    def render(self, request: Any) -> bytes:
        """
        Whatever was asked.
        """
        status, body = self.answer
        request.setResponseCode(status)
        return body


class NoEtcdTests(SecurityCase):
    """
    What answers is no etcd, or nothing does.
    """

    skip = None

    def setUp(self) -> None:
        super().setUp()
        self.options = EtcdOptions(("http://127.0.0.1:1",), answer=0.5, patience=0.5)

    def serve(self, factory: Any) -> str:
        """
        The URL of a server.
        """
        factory.noisy = False
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"http://127.0.0.1:{port.getHost().port}"

    async def test_nobody_listens(self) -> None:
        self.assertIn("refused", await self.why(StoreUnavailable))

    async def test_another_server(self) -> None:
        for status, body in ((404, b"<html>"), (200, b"[1]"), (200, b""), (500, b'"x"'), (200, b"[" * 100_000)):
            url = self.serve(Site(Nonsense(status, body)))
            text = await self.why(StoreUnavailable, endpoints=(url,))
            self.assertIn("is not etcd 3", text)

    async def test_an_answer_that_lacks_what_is_needed(self) -> None:
        for body in (b"{}", b'{"header": 5}', b'{"header": {}, "responses": 7}', b'{"header": {"revision": "x"}}'):
            url = self.serve(Site(Nonsense(200, body)))
            await self.why(StoreUnavailable, endpoints=(url,))

    async def test_one_that_never_answers(self) -> None:
        silent = Factory.forProtocol(Protocol)
        ends: list[Deferred[None]] = []

        class Silent(Protocol):
            """
            Says nothing.
            """

            def connectionMade(self) -> None:
                self.ended: Deferred[None] = Deferred()
                ends.append(self.ended)

            def connectionLost(self, reason: Any = None) -> None:
                self.ended.callback(None)

        silent = Factory.forProtocol(Silent)
        url = self.serve(silent)
        self.assertIn("did not answer in time", await self.why(StoreUnavailable, endpoints=(url,)))
        # Its connections were ended.
        self.assertGreater(len(ends), 0)
        for each in ends:
            await self.until(each)

    async def test_one_that_is_there_is_found_among_others(self) -> None:
        if SKIP:
            return
        server = self.begin(Etcd())
        url = self.serve(Site(Nonsense(502, b"bad gateway")))
        store = await self.opened(endpoints=("http://127.0.0.1:1", url, server.url), patience=10.0)
        await store.putNode(NodeEntry("edge"))
        self.assertEqual(store._gateway.preferred, server.url)
