"""
What Twisted finds: C{twistd hermes-proxy}, C{twistd hermes-controller}, and C{hermes:} endpoints.
"""

from twisted.application.service import ServiceMaker

from hermes.endpoints import HermesClientParser, HermesServerParser

hermesProxy = ServiceMaker(
    "Hermes proxy",
    "hermes.tap",
    "A programmable proxy of a Hermes overlay: TCP and UDP over HTTP/2.",
    "hermes-proxy",
)
hermesController = ServiceMaker(
    "Hermes controller",
    "hermes.control.tap",
    "The controller of a Hermes overlay: nodes join it and are configured by it.",
    "hermes-controller",
)
hermesClient = HermesClientParser()
hermesServer = HermesServerParser()
