"""
The channel between a controller and its nodes: Perspective Broker inside mutual TLS, both ends of it.

See docs/reference/control-channel.md for what is on the wire.
"""
