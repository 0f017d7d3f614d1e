"""
What an operator writes to name a store.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.store.etcd.options import EtcdOptions
from hermes.control.store.opening import StoreMistake, etcdOptions, makeStore
from hermes.control.store.sqlite import SQLiteStore


class OpeningTests(SynchronousTestCase):
    """
    What an operator writes.
    """

    def options(self, text: str) -> EtcdOptions:
        """
        What comes of it.
        """
        kind, _, rest = text.partition("://")
        return etcdOptions(kind, rest, "/etc/hermes")

    def test_a_file(self) -> None:
        store: Any = makeStore(Clock(), "sqlite:state/controller.db", "/var/lib")
        self.assertIsInstance(store, SQLiteStore)
        self.assertEqual(store._file.path, "/var/lib/state/controller.db")
        absolute: Any = makeStore(Clock(), "sqlite:/srv/c.db", "/var/lib")
        self.assertEqual(absolute._file.path, "/srv/c.db")

    def test_an_etcd(self) -> None:
        found = self.options("etcd://one:2379,[::1]:2380,three/overlays/a")
        self.assertEqual(found.endpoints, ("http://one:2379", "http://[::1]:2380", "http://three:2379"))
        self.assertEqual(found.prefix, "/overlays/a/")
        self.assertEqual(self.options("etcd://one").prefix, "/hermes/")

    def test_an_etcd_with_tls_and_a_user(self) -> None:
        found = self.options("etcds://alice@one/?password=secret&trust=ca.pem&certificate=c.pem&key=/c.key&lease=5")
        self.assertEqual(found.endpoints, ("https://one:2379",))
        self.assertEqual((found.user, found.lease), ("alice", 5))
        self.assertEqual(found.password, os.path.join("/etc/hermes", "secret"))
        self.assertEqual((found.trust, found.key), ("/etc/hermes/ca.pem", "/c.key"))

    def test_what_is_wrong_is_told(self) -> None:
        for text, why in (
            ("redis://one", "is no store"),
            ("controller.db", "is no store"),
            ("sqlite:", "path of a file"),
            ("etcd:one", "is no store"),
            ("etcd://", "no HOST:PORT"),
            ("etcd://one:port", "no HOST:PORT"),
            ("etcd://one:0", "no HOST:PORT"),
            ("etcd://one,,two", "no HOST:PORT"),
            ("etcd://::1:5", "no HOST:PORT"),
            ("etcd://alice:sesame@one", "not written here"),
            ("etcd://alice@one", "belong together"),
            ("etcd://one/?password=x", "belong together"),
            ("etcd://one/?lease=1", "from 2 to 3600"),
            ("etcd://one/?lease=soon", "from 2 to 3600"),
            ("etcd://one/?leese=5", "no option"),
            ("etcd://one/?lease=5&lease=6", "given twice"),
            ("etcd://one/?trust=ca.pem", "etcds://"),
            ("etcds://one/?key=x", "needs a certificate"),
        ):
            error = self.assertRaises(StoreMistake, makeStore, Clock(), text)
            self.assertIn(why, str(error))
            self.assertNotIn("sesame", str(error))
