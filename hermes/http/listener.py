"""
The C{http} listener: a reverse proxy. HTTP/1.1 and HTTP/2 on one port.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from hermes.choosing import ServerChooser
from hermes.fabric.listener import Accepted, StreamListener
from hermes.http1.limits import Limits
from hermes.http1.server import HTTP1ServerProtocol
from hermes.http2.connection import ServerConnection
from hermes.http2.handler import EngineSettings
from hermes.interfaces import IExchangeHandler, IListenerContext, IServerCredentials


class HTTPListener(StreamListener):
    """
    Gives each connection the version of HTTP that TLS has negotiated (ALPN); without TLS, HTTP/2 where the client
    begins with its preface (prior knowledge, RFC 9113 section 3.3).

    @ivar handler: takes all requests.
    """

    def __init__(
        self,
        name: str,
        bind: str,
        context: IListenerContext,
        handler: IExchangeHandler,
        limits: Limits,
        settings: EngineSettings,
        tls: bool = False,
        certificates: Any = None,
        proxyProtocol: bool = False,
    ) -> None:
        """
        @param limits: of connections of HTTP/1.1.
        @param settings: of connections of HTTP/2.
        @param certificates: L{IServerCredentials} in place of the node's, with C{checkFiles} and C{readFiles}; or
            L{None}.
        """
        super().__init__(name, bind, context, tls, proxyProtocol)
        self.handler = handler
        self._limits = limits
        self._settings = settings
        self._certificates = certificates
        # A transport forgets its protocol when it ends, and nothing else keeps it.
        self._drainable: WeakSet[Any] = WeakSet()

    def credentials(self) -> IServerCredentials | None:
        return self._certificates if self._certificates is not None else super().credentials()

    def checkFiles(self) -> None:
        """
        Whether the certificates can be used as they are now.

        @raise HermesError: where they can't.
        """
        if self._certificates is not None:
            self._certificates.checkFiles()

    def readFiles(self) -> None:
        """
        Use the certificates as they are now.

        @raise HermesError: where they can't be used.
        """
        if self._certificates is not None:
            self._certificates.readFiles()

    def accept(self, accepted: Accepted) -> None:
        chooser = ServerChooser(self._http2, self._http1, self.context.reactor, self._limits.headTime)
        accepted.attach(chooser)

    def _http1(self) -> Any:
        return self._keep(HTTP1ServerProtocol(self.handler, self.context.reactor, limits=self._limits))

    def _http2(self) -> Any:
        return self._keep(ServerConnection(self.handler, self.context.reactor, self._settings))

    def _keep(self, connection: Any) -> Any:
        self._drainable.add(connection)
        return connection

    def drain(self) -> None:
        for connection in list(self._drainable):
            connection.drain()
