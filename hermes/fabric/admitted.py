"""
Flows that a listener's assisting components are asked about first.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from zope.interface import implementer

from hermes.interfaces import IAdmission, IDatagramReceiver, IFlowHandler, IPacketReceiver
from hermes.values import Flow


@implementer(IFlowHandler)
class AdmittedFlows:
    """
    Opens what was admitted.
    """

    def __init__(self, flows: IFlowHandler, admission: IAdmission) -> None:
        self._flows = flows
        self._admission = admission

    def openStream(self, flow: Flow) -> Deferred[IProtocol]:
        return self._admission.admitFlow(flow).addCallback(self._flows.openStream)

    def openDatagrams(self, flow: Flow) -> Deferred[IDatagramReceiver]:
        return self._admission.admitFlow(flow).addCallback(self._flows.openDatagrams)

    def openPackets(self, flow: Flow) -> Deferred[IPacketReceiver]:
        return self._admission.admitFlow(flow).addCallback(self._flows.openPackets)

    def authorise(self, flow: Flow) -> None:
        self._flows.authorise(flow)
