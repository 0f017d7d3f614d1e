"""
L{hermes.test.namespaces}.
"""

from __future__ import annotations

import os
import socket

from twisted.trial.unittest import SynchronousTestCase, TestCase

from hermes.test.namespaces import Namespace


class NamespaceTests(SynchronousTestCase):
    def test_isThereAsLongAsTheContext(self) -> None:
        with Namespace() as namespace:
            self.assertIn(namespace.name, os.listdir("/run/netns"))
        self.assertNotIn(namespace.name, os.listdir("/run/netns"))

    def test_hasDevicesOfItsOwn(self) -> None:
        with Namespace() as namespace:
            self.assertEqual(namespace.run("ls", "/sys/class/net").split(), ["lo"])

    def test_aProgramThatFailsSaysWhy(self) -> None:
        with Namespace() as namespace:
            error = self.assertRaises(AssertionError, namespace.run, "ip", "link", "set", "nosuch", "up")
            self.assertIn("nosuch", str(error))

    def test_wiresJoinTwo(self) -> None:
        with Namespace("a") as a, Namespace("b") as b:
            a.link(b)
            for host in "10.99.0.2", "fd99::2":
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                with b.entered():
                    server = socket.create_server((host, 0), family=family)
                with a.entered():
                    client = socket.create_connection(server.getsockname()[:2], 30)
                client.close()
                server.close()

    def test_theThreadIsBackWhereItWas(self) -> None:
        before = os.readlink("/proc/thread-self/ns/net")
        with Namespace() as namespace:
            with namespace.entered():
                inside = os.readlink("/proc/thread-self/ns/net")
            self.assertNotEqual(inside, before)
            self.assertEqual(os.readlink("/proc/thread-self/ns/net"), before)

    def test_whatWasSpawnedEndsWithIt(self) -> None:
        with Namespace() as namespace:
            popen = namespace.spawn("sleep", "1000")
        self.assertIsNotNone(popen.returncode)


class AsynchronousTests(TestCase):
    async def test_theReactorGoesOnWhileAProgramRuns(self) -> None:
        namespace = Namespace.forTest(self)
        self.assertEqual((await namespace.output("ls", "/sys/class/net")).split(), ["lo"])

    async def test_whatWasStartedEndsWithIt(self) -> None:
        namespace = Namespace.forTest(self)
        process = namespace.start("sh", "-c", "echo up; sleep 1000")
        await process.said("up")
        await namespace.close()
        self.assertEqual(process.status, -9)
        self.assertNotIn(namespace.name, os.listdir("/run/netns"))
