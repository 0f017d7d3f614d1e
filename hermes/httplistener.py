"""
The C{http} listener type, assembled.
"""

from __future__ import annotations

from typing import Any

from attrs import field, frozen
from attrs.validators import ge, gt
from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.config.types import ExistingFile, Seconds
from hermes.http.listener import HTTPListener
from hermes.http1.limits import Limits
from hermes.http2.handler import EngineSettings
from hermes.interfaces import IListener, IListenerContext, IListenerType
from hermes.net.servernames import NamedCredentials
from hermes.values import Forwarded


@frozen
class CertificateOptions:
    """
    @ivar certificate: PEM, the certificate and what stands between it and the root.
    @ivar key: PEM, its private key.
    """

    certificate: ExistingFile
    key: ExistingFile


@frozen
class HTTPLimits:
    """
    @ivar head: bytes that a request's head may have; a longer one is answered 431.
    @ivar fields: how many fields it may have, in HTTP/1.1.
    @ivar headTime: seconds that a client has to send a head.
    @ivar idleTime: seconds after which a connection without a request is closed.
    @ivar streams: how many requests may be open at once on one connection of HTTP/2.
    """

    head: int = field(default=32 * 1024, validator=ge(1024))
    fields: int = field(default=128, validator=ge(1))
    headTime: Seconds = field(default=Seconds(10.0), validator=gt(Seconds(0)))
    idleTime: Seconds = field(default=Seconds(60.0), validator=gt(Seconds(0)))
    streams: int = field(default=256, validator=ge(1))


@frozen
class HTTPOptions:
    """
    @ivar bind: C{HOST:PORT}, C{[V6]:PORT} or C{unix:PATH}.
    @ivar tls: whether connections begin with TLS, which negotiates HTTP/2 or HTTP/1.1. Without, it is HTTP/1.1, or
        HTTP/2 by prior knowledge.
    @ivar certificates: for public names: each client gets the one for the name that it asks for (SNI), or the first.
        Without, it is the node's, and a client may show one of its own.
    @ivar proxyProtocol: whether connections begin, before TLS, with a PROXY protocol header.
    @ivar anonymous: whether somebody is taken whom nobody could name.
    @ivar assist: the assisting components that each request passes before it is routed, in order.
    @ivar forwarded: what the C{Forwarded} field (RFC 7239) tells about the client to whoever is beyond: its address, a
        word that stands for it, nothing.
    @ivar limits: what one connection may do.
    """

    bind: str
    tls: bool = False
    certificates: tuple[CertificateOptions, ...] = field(default=())
    proxyProtocol: bool = False
    anonymous: bool = True
    assist: tuple[str, ...] = ()
    forwarded: Forwarded = "address"
    limits: HTTPLimits = field(factory=HTTPLimits)

    @certificates.validator
    def _withTLS(self, attribute: object, value: tuple[CertificateOptions, ...]) -> None:
        if value and not self.tls:
            raise ValueError("certificates are for TLS: say 'tls: true'")


@implementer(IPlugin, IListenerType)
class HTTPListenerType:
    """
    C{type: http}.
    """

    type = "http"
    options = HTTPOptions

    def listener(self, name: str, options: Any, context: IListenerContext) -> IListener:
        limits: HTTPLimits = options.limits
        files = [(each.certificate, each.key) for each in options.certificates]
        return HTTPListener(
            name,
            options.bind,
            context,
            context.requests.listener(name, options.assist, options.anonymous, True, options.forwarded),
            Limits(limits.head, limits.fields, headTime=limits.headTime, idleTime=limits.idleTime),
            EngineSettings(maxStreams=limits.streams, maxHeaderList=limits.head, idleTime=limits.idleTime),
            options.tls,
            NamedCredentials(files) if files else None,
            options.proxyProtocol,
        )
