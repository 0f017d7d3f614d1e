"""
What Twisted finds: C{twistd hermes-proxy}.
"""

from twisted.application.service import ServiceMaker

hermesProxy = ServiceMaker(
    "Hermes proxy",
    "hermes.tap",
    "A programmable proxy of a Hermes overlay: TCP and UDP over HTTP/2.",
    "hermes-proxy",
)
