"""
The strategies that Hermes comes with. Others are Twisted plugins that provide
L{hermes.ndn.interfaces.IStrategyType}; L{hermes.ndn.forwarder.strategies.base} is what to begin from.
"""
