"""
What Hermes finds: the forwarding strategies of Named Data Networking that it comes with. Those of an extension are
found in the same way, in a module of its own beside this one.
"""

from hermes.ndn.forwarder.strategies.asf import ASFType
from hermes.ndn.forwarder.strategies.bestroute import BestRouteType
from hermes.ndn.forwarder.strategies.multicast import MulticastType
from hermes.ndn.forwarder.strategies.randomly import RandomType

asf = ASFType()
bestRoute = BestRouteType()
multicast = MulticastType()
random = RandomType()
