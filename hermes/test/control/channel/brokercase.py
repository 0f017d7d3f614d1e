"""
Brokers connected in memory, with nothing between.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.channel.broker import ControlBroker
from hermes.control.channel.callee import Call, Callee
from hermes.control.channel.counts import Refusals
from hermes.control.channel.limits import DEFAULT, KIB, Limits
from hermes.test.control.channel.wires import WireEnd, Wires

SMALL: Limits = evolve(DEFAULT, inline=1 * KIB, page=512, total=64 * KIB, message=8 * KIB, firstMessage=4 * KIB)
"""
Limits that tests reach with little.
"""


class Recorder(Callee):
    """
    Answers what it is told to.

    @ivar calls: what it was asked.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: dict[str, Any] = {}
        super().__init__({"echo": self._echo, "answer": self._answer, "hand": self._hand})

    def _echo(self, call: Call) -> Any:
        self.calls.append(call)
        return call.values.get("value")

    def _answer(self, call: Call) -> Any:
        self.calls.append(call)
        answer = self.answers[call.values["name"]]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _hand(self, call: Call) -> Any:
        """
        Hand an object over, and something with it.
        """
        self.calls.append(call)
        return [self.answers["object"], {"with": "it"}]


class Factory:
    """
    For L{Wires}: makes protocols by calling something.
    """

    def __init__(self, make: Any) -> None:
        self._make = make

    def buildProtocol(self, addr: Any) -> Any:
        return self._make()


class BrokerCase(SynchronousTestCase):
    """
    A server and a client.
    """

    limits = SMALL

    def setUp(self) -> None:
        self.clock = Clock()
        self.wires = Wires(self.clock)
        self.refusals = Refusals()
        self.clientRefusals = Refusals()
        self.recorder = Recorder()

    def makeServer(self, trusted: bool = True) -> ControlBroker:
        """
        One that has C{recorder} for its root.
        """
        return ControlBroker(False, self.clock, self.refusals, self.limits, self.recorder, trusted)

    def makeClient(self) -> ControlBroker:
        """
        Its counterpart.
        """
        return ControlBroker(True, self.clock, self.clientRefusals, self.limits)

    def connect(self, client: Any, server: Any) -> WireEnd:
        """
        Connect two protocols; returns the client's transport.
        """
        self.wires.listening["server"] = Factory(lambda: server)
        end = self.wires.connect("server", client)
        assert end is not None
        self.addCleanup(self.end, end)
        self.wires.flush()
        return end

    def end(self, end: WireEnd) -> None:
        """
        Nothing is left.
        """
        end.abortConnection()
        self.wires.advance(120.0, 10.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def pair(self) -> tuple[ControlBroker, ControlBroker]:
        """
        Connected: client, server.
        """
        client, server = self.makeClient(), self.makeServer()
        self.connect(client, server)
        self.assertIs(self.successResultOf(client.ready), client)
        return client, server

    def ask(self, client: ControlBroker, method: str, **values: Any) -> Any:
        """
        The answer of the root object.
        """
        return self.result(client.call(client.root, method, values))

    def result(self, deferred: Deferred[Any]) -> Any:
        """
        What it fires with, once all that moves has arrived.
        """
        self.wires.flush()
        return self.successResultOf(deferred)

    def refused(self, deferred: Deferred[Any], *errors: type[Exception]) -> str:
        """
        The text of the error that it fails with, likewise.
        """
        self.wires.flush()
        return str(self.failureResultOf(deferred, *errors).value)
