"""
C{type: ndn}, an assisting component.
"""

from __future__ import annotations

from typing import Any

from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.interfaces import IAssistant, IAssistantContext, IAssistantType
from hermes.ndn.gateway.gateway import Gateway
from hermes.ndn.gateway.options import GatewayOptions


@implementer(IPlugin, IAssistantType)
class GatewayType:
    """
    See L{IAssistantType}.
    """

    type = "ndn"
    options = GatewayOptions

    def assistant(self, name: str, options: Any, context: IAssistantContext) -> IAssistant:
        return Gateway(name, options, context)
