"""
SOCKS on a C{proxy} listener passes the assisting components that the listener names.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.errors import NoRoute
from hermes.fabric.proxy import ProxyListenerType, ProxyOptions
from hermes.interfaces import IAdmission, IServerExchange
from hermes.test.fabric.fakenetwork import FakeContext, FakeRequests
from hermes.test.fabric.fakes import FakeFlows
from hermes.test.fabric.loopbackproxy import tunnels
from hermes.users import Users
from hermes.values import Flow, Target
from hermes.wire.socks import COMMAND_CONNECT, SocksRequest, writeRequest

BIND = "127.0.0.1:3128"


@implementer(IAdmission)
class Admission:
    """
    Admits flows to one port.
    """

    identifies = False

    def __init__(self) -> None:
        self.asked: list[Flow] = []

    def admit(self, exchange: IServerExchange, flow: Flow, gateway: bool) -> Deferred[Flow | None]:
        raise NotImplementedError

    def admitFlow(self, flow: Flow) -> Deferred[Flow]:
        self.asked.append(flow)
        return succeed(flow) if flow.target.port == 443 else fail(NoRoute("not there"))


class Requests(FakeRequests):
    """
    Has an admission.
    """

    def __init__(self, admission: Admission) -> None:
        super().__init__()
        self.named: list[tuple[str, tuple[str, ...]]] = []
        self._admission = admission

    def admission(self, name: str, assist: tuple[str, ...]) -> IAdmission | None:
        self.named.append((name, assist))
        return self._admission


class SOCKSTests(SynchronousTestCase):
    """
    A C{proxy} listener.
    """

    def setUp(self) -> None:
        self.context = FakeContext()
        self.flows: FakeFlows = self.context.flows
        self.admission = Admission()
        self.requests = Requests(self.admission)
        context: Any = self.context
        context.requests = self.requests
        context.authenticator = Users({})
        made: Any = ProxyListenerType(tunnels, lambda *arguments: None).listener(
            "apps", ProxyOptions(BIND, assist=("policy",)), self.context
        )
        self.successResultOf(made.start())

    def connect(self, port: int) -> bytes:
        stream = self.context.network.servers[BIND].accept(IPv4Address("TCP", "192.0.2.1", 5000))
        stream.deliver(b"\x05\x01\x00")
        stream.deliver(writeRequest(SocksRequest(COMMAND_CONNECT, "db.hermes", port)))
        return bytes(stream.taken)

    def test_aFlowThatIsAdmittedIsOpened(self) -> None:
        self.connect(443)
        self.assertEqual(self.requests.named, [("apps", ("policy",))])
        self.assertEqual([flow for flow, _ in self.flows.asked], self.admission.asked)
        self.assertEqual(self.admission.asked[0].target, Target("db.hermes", 443))

    def test_aFlowThatIsNotIsRefused(self) -> None:
        self.assertEqual(self.connect(25)[2:4], b"\x05\x02")
        self.assertEqual(self.flows.asked, [])
