"""
What Twisted finds: C{twistd hermes-proxy}, and C{hermes:} endpoints.
"""

from twisted.application.service import ServiceMaker

from hermes.endpoints import HermesClientParser, HermesServerParser

hermesProxy = ServiceMaker(
    "Hermes proxy",
    "hermes.tap",
    "A programmable proxy of a Hermes overlay: TCP and UDP over HTTP/2.",
    "hermes-proxy",
)
hermesClient = HermesClientParser()
hermesServer = HermesServerParser()
