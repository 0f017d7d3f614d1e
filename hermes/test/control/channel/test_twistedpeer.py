"""
Twisted's own Perspective Broker at the other end.
"""

from __future__ import annotations

from typing import Any

from twisted.spread import pb

from hermes.control.channel.errors import CallFailed, TooLarge
from hermes.test.control.channel.brokercase import BrokerCase


class Service(pb.Root):
    """
    As somebody would write it who knows Twisted only.
    """

    def __init__(self) -> None:
        self.handed: Any = None

    def remote_echo(self, value: Any = None) -> Any:
        return value

    def remote_take(self, thing: Any) -> None:
        self.handed = thing

    def remote_fail(self) -> None:
        raise pb.Error("chosen")


class Mine(pb.Referenceable):
    """
    Called back.
    """

    def remote_echo(self, value: Any) -> Any:
        return [value, value]


class TwistedPeer(BrokerCase):
    """
    See the module.
    """

    def root(self) -> Any:
        """
        Our root, as Twisted's client has it.
        """
        factory = pb.PBClientFactory()
        self.connect(factory.buildProtocol(None), self.makeServer())
        return self.successResultOf(factory.getRootObject())

    def test_it_calls_us(self) -> None:
        root = self.root()
        value = {"a": [1, "two", b"three", None, True, 4.5]}
        self.assertEqual(self.result(root.callRemote("echo", value=value)), value)

    def test_it_is_told_of_errors(self) -> None:
        root = self.root()
        self.recorder.answers["x"] = TooLarge("chosen")
        asked = root.callRemote("answer", name="x")
        self.wires.flush()
        failure = self.failureResultOf(asked)
        self.assertEqual(failure.type, b"hermes.TooLarge")
        self.assertEqual(failure.value, "chosen")
        self.assertIsNotNone(failure.check(pb.Error))

    def test_it_gets_objects_and_hands_some_over(self) -> None:
        root = self.root()
        self.recorder.answers["object"] = self.recorder
        reference, _ = self.result(root.callRemote("hand"))
        self.assertEqual(self.result(reference.callRemote("echo", value=1)), 1)
        self.result(root.callRemote("echo", Mine()))
        (mine,) = self.recorder.calls[-1].references
        self.assertEqual(self.result(mine.broker.call(mine, "echo", {"value": 2})), [2, 2])

    def test_it_fetches_what_is_large(self) -> None:
        root = self.root()
        self.recorder.answers["x"] = large = "text" * 1000
        reference, size, digest = self.result(root.callRemote("answer", name="x"))
        data = b""
        while len(data) < size:
            data += self.result(reference.callRemote("page", start=len(data), count=512))
        self.result(reference.callRemote("done"))
        self.assertEqual(len(digest), 64)
        self.assertTrue(data.endswith(large.encode()))

    def test_we_call_it(self) -> None:
        service = Service()
        factory = pb.PBServerFactory(service)
        client = self.makeClient()
        self.connect(client, factory.buildProtocol(None))
        value = {"a": [1, "two", b"three", None, True, 4.5]}
        self.assertEqual(self.ask(client, "echo", value=value), value)
        self.assertEqual(self.refused(client.call(client.root, "fail"), CallFailed), "chosen")
        self.assertEqual(self.result(client.call(client.root, "take", objects=(self.recorder,))), None)
        self.assertEqual(self.result(service.handed.callRemote("echo", value=3)), 3)
