"""
TLS with whatever origin a request names.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint

from hermes.errors import BadRequest
from hermes.nested import NestedTLSEndpoint
from hermes.net.certificates import ClientCredentials


class OriginTLS:
    """
    A L{hermes.http.origins.Secure}: origins are checked against the authorities that the system trusts, as they were
    when they were first asked for.
    """

    def __init__(self, reactor: Any, trustFile: str | None = None) -> None:
        """
        @param trustFile: authorities in place of the system's (PEM).
        """
        self._reactor = reactor
        self._trustFile = trustFile
        self._offering: dict[tuple[bytes, ...], ClientCredentials] = {}

    def __call__(self, endpoint: IStreamClientEndpoint, name: str, offered: tuple[bytes, ...]) -> IStreamClientEndpoint:
        credentials = self._offering.get(offered)
        try:
            if credentials is None:
                credentials = self._offering[offered] = ClientCredentials(
                    trustFile=self._trustFile, serverName=name, protocols=offered
                )
            credentials = credentials.named(name)
        except ValueError as error:
            raise BadRequest(f"{name!r} is not a name that a certificate could hold") from error
        return NestedTLSEndpoint(endpoint, credentials, self._reactor)
