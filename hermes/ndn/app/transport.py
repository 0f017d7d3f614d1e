"""
Where the forwarder is: C{NDN_CLIENT_TRANSPORT}, or C{transport} in NDN's C{client.conf}, as for other NDN tools.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IReactorTCP, IReactorTime, IReactorUNIX, IStreamClientEndpoint

from hermes.ndn.face.uri import FaceAddress

VARIABLE = "NDN_CLIENT_TRANSPORT"

CONFIGURATIONS = (
    "~/.ndn/client.conf",
    "/usr/local/etc/ndn/client.conf",
    "/opt/local/etc/ndn/client.conf",
    "/etc/ndn/client.conf",
)
"""
The files that NDN's tools read, the first that there is.
"""

SOCKETS = ("/run/hermes/ndn.sock", "/run/nfd/nfd.sock", "/run/nfd.sock")
"""
Where a forwarder of this host listens: of Hermes, of NFD, of NFD before 22.02. The first that there is, else the first.
"""

CONNECT_TIMEOUT = 10


def forwarderURI(
    environ: Mapping[str, str], configurations: Sequence[str] = CONFIGURATIONS, sockets: Sequence[str] = SOCKETS
) -> str:
    """
    The Face URI of this host's forwarder.

    @param environ: the environment's variables.
    @raise OSError: if C{client.conf} can't be read.
    """
    if environ.get(VARIABLE):
        return environ[VARIABLE]
    for each in configurations:
        path = os.path.expanduser(each)
        if os.path.exists(path):
            found = _transportIn(path)
            if found is not None:
                return found
            break
    for path in sockets:
        if os.path.exists(path):
            return f"unix://{path}"
    return f"unix://{sockets[0]}"


def _transportIn(path: str) -> str | None:
    """
    What an INI file without sections says, as NDN's do; lines that begin with a semicolon or a hash are comments.
    """
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            key, equals, value = line.partition("=")
            if equals and key.strip() == "transport":
                return value.split(";")[0].strip() or None
    return None


def endpointFor(reactor: object, uri: str) -> IStreamClientEndpoint:
    """
    What connects to a forwarder.

    @param reactor: provides L{IReactorTCP}, L{IReactorUNIX}, L{IReactorTime}.
    @param uri: C{unix:///PATH}, C{tcp://HOST:PORT}, C{tcp4://} or C{tcp6://}.
    @raise ValueError: with a sentence for the user.
    """
    scheme, separator, rest = uri.partition("://")
    if scheme in ("tcp4", "tcp6"):
        # NDN's tools take names here, too; which family they have is then up to the resolver.
        scheme = "tcp"
    if not separator or scheme not in ("unix", "tcp"):
        raise ValueError(f"{uri!r} is no forwarder's address: write unix:///PATH or tcp://HOST:PORT")
    address = FaceAddress.fromURI(f"{scheme}://{rest}")
    if address.target is None:
        assert IReactorUNIX.providedBy(reactor)
        return UNIXClientEndpoint(reactor, address.path, CONNECT_TIMEOUT)
    assert IReactorTCP.providedBy(reactor) and IReactorTime.providedBy(reactor)
    return HostnameEndpoint(reactor, address.target.host, address.target.port, CONNECT_TIMEOUT)
