"""
What Hermes finds: the types of assisting components that it comes with. Those of an extension are found in the same
way, in a module of its own beside this one.
"""

from hermes.assist.authenticationtype import AuthenticationType
from hermes.assist.authorizer import AuthorizerType
from hermes.assist.cache.cachetype import CacheType
from hermes.assist.limits import LimitsType
from hermes.assist.rules import RulesType
from hermes.ndn.gateway.gatewaytype import GatewayType

authentication = AuthenticationType()
authorizer = AuthorizerType()
cache = CacheType()
limits = LimitsType()
ndn = GatewayType()
rules = RulesType()
