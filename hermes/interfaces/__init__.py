"""
The roles in a proxy. An interface says what a role promises; implementations do not repeat it.
"""

from hermes.interfaces.channel import IDatagramChannel, IDatagramReceiver, IDatagramSocket, IDatagramSocketReceiver
from hermes.interfaces.commons import ICommons
from hermes.interfaces.exchange import (
    IClientExchange,
    IExchange,
    IExchangeClient,
    IExchangeHandler,
    IReadyExchangeClient,
    IServerExchange,
)
from hermes.interfaces.flow import (
    IAuthenticator,
    IDialer,
    IFlowHandler,
    IFlowObserver,
    IHop,
    IListener,
    IListenerContext,
    IListenerType,
    IMeasuredHop,
)
from hermes.interfaces.network import INetwork, IServerCredentials
from hermes.interfaces.packet import (
    AddressRange,
    AssignedAddress,
    IPacketChannel,
    IPacketHandler,
    IPacketReceiver,
    IPacketTunnel,
)
from hermes.interfaces.request import (
    IAdmission,
    IAssistant,
    IAssistantContext,
    IAssistantType,
    IBody,
    IBodySink,
    IIdentifyingAssistant,
    IRequestHandler,
    IRequestObserver,
    IRequestSender,
    IRequestUpstream,
    Send,
)
from hermes.interfaces.stream import IAttachable, IBorrowingProtocol, IStreamTransport

__all__ = [
    "AddressRange",
    "AssignedAddress",
    "IAdmission",
    "IAssistant",
    "IAssistantContext",
    "IAssistantType",
    "IAttachable",
    "IAuthenticator",
    "IBody",
    "IBodySink",
    "IBorrowingProtocol",
    "IClientExchange",
    "ICommons",
    "IDatagramChannel",
    "IDatagramReceiver",
    "IDatagramSocket",
    "IDatagramSocketReceiver",
    "IDialer",
    "IExchange",
    "IExchangeClient",
    "IExchangeHandler",
    "IFlowHandler",
    "IFlowObserver",
    "IHop",
    "IIdentifyingAssistant",
    "IListener",
    "IListenerContext",
    "IListenerType",
    "IMeasuredHop",
    "INetwork",
    "IPacketChannel",
    "IPacketHandler",
    "IPacketReceiver",
    "IPacketTunnel",
    "IReadyExchangeClient",
    "IRequestHandler",
    "IRequestObserver",
    "IRequestSender",
    "IRequestUpstream",
    "IServerCredentials",
    "IServerExchange",
    "IStreamTransport",
    "Send",
]
