"""
What Hermes finds: the types of listeners that it comes with. Those of an extension are found in the same way, in a
module of its own beside this one. They are apart from C{hermes_plugins}, which every Twisted program imports that looks
for an endpoint.
"""

from hermes.fabric.tcp import TCPListenerType
from hermes.fabric.udp import UDPListenerType
from hermes.httplistener import HTTPListenerType
from hermes.ndnlistener import NDNListenerType
from hermes.proxylistener import proxyListenerType
from hermes.tunlistener import TunListenerType
from hermes.tunnel.listener import TunnelListenerType

http = HTTPListenerType()
ndn = NDNListenerType()
proxy = proxyListenerType()
tcp = TCPListenerType()
udp = UDPListenerType()
tun = TunListenerType()
tunnel = TunnelListenerType()
