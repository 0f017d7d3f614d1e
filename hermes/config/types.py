"""
The kinds of values in a configuration. Each is a plain type with a name of its own, so that the loader knows what to
check and code that uses it sees a C{str} or a C{float}.
"""

from __future__ import annotations

import re
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import NewType, TypeAlias

from hermes.config.problems import Misfit, nearest
from hermes.matching import TargetPattern
from hermes.values import Target
from hermes.wire.protocols import PROTOCOLS, protocolNumber

Name = NewType("Name", str)
"""
The name of a node, a listener, an upstream, a user: letters, digits, C{.}, C{_}, C{-}.
"""

SocketAddress = NewType("SocketAddress", str)
"""
C{HOST:PORT}, C{[V6]:PORT} or C{unix:PATH}.
"""

FaceLocator = NewType("FaceLocator", str)
"""
Where an NDN face leads or is accepted: C{unix:PATH}, or C{udp:}, C{tcp:} or C{ws:} and C{HOST:PORT}; with C{ws:}, a
path may follow.
"""

NDNName = NewType("NDNName", str)
"""
An NDN name as a URI: C{/example/app}. What its components may be is for whoever reads it to say.
"""

Seconds = NewType("Seconds", float)
"""
A duration: a number of seconds, or text with a unit, C{500ms}, C{30s}, C{5m}, C{2h}.
"""

Size = NewType("Size", int)
"""
So many bytes: a whole number, or text with a unit, C{64KiB}, C{16MiB}, C{1GiB}.
"""

RetryReason = NewType("RetryReason", str)
"""
What a request is sent again for: a word of L{RETRY_WORDS}, or a status.
"""

Secret = NewType("Secret", str)
"""
Text that nobody prints; in the file as it is, or C{{file: PATH}}.
"""

ExistingFile = NewType("ExistingFile", str)
"""
The absolute path of a file that was there at load.
"""

NewFile = NewType("NewFile", str)
"""
The absolute path of a file that need not exist yet, in a directory that does; C{-} is standard output.
"""

FieldName = NewType("FieldName", str)
"""
The name of a header field, in lower case.
"""

ParameterName = NewType("ParameterName", str)
"""
The name of a parameter in a query.
"""

Method = NewType("Method", str)
"""
A request method, in capitals.
"""

Transport = NewType("Transport", int)
"""
An IP protocol: C{tcp}, C{udp}, C{icmp}, C{icmpv6}, C{gre}, C{esp}, C{sctp}, or a number from 0 to 255.
"""

WorkerCount = NewType("WorkerCount", int)
"""
How many processes: 1 to 256.
"""

Network: TypeAlias = IPv4Network | IPv6Network

IPAddress: TypeAlias = IPv4Address | IPv6Address
"""
An IP address.
"""

Interface: TypeAlias = IPv4Interface | IPv6Interface
"""
A host's address with the prefix that it is in: C{10.0.0.1/24}.
"""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?", re.ASCII)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15})(B|KiB|MiB|GiB)", re.ASCII)
_SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)
RETRY_WORDS = ("connect", "refused", "reset", "timeout", "gateway", "5xx")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parseName(text: str) -> Name:
    """
    @raise Misfit: where C{text} is not a name.
    """
    if len(text) > 200 or not _NAME.fullmatch(text):
        raise Misfit(f"{text!r} is not a name: letters and digits, and between them '.', '_' and '-'")
    return Name(text)


def parseHost(text: str) -> str:
    """
    A DNS name or an IP address without brackets, as C{Target} holds it.

    @raise Misfit: where it is neither.
    """
    if ":" in text:
        try:
            return str(ip_address(text))
        except ValueError:
            raise Misfit(f"{text!r} is not an IPv6 address") from None
    # Digits and dots alone are meant as an address, never as a name.
    if re.fullmatch(r"[0-9.]+", text):
        try:
            return str(ip_address(text))
        except ValueError:
            raise Misfit(f"{text!r} is not an IPv4 address") from None
    if len(text) > 253 or not _HOST.fullmatch(text):
        raise Misfit(f"{text!r} is not a host name")
    return text


def parseTarget(text: str) -> Target:
    """
    C{HOST:PORT}.

    @raise Misfit: with a sentence for the user.
    """
    try:
        target = Target.fromText(text)
    except ValueError as error:
        raise Misfit(str(error)) from None
    return Target(parseHost(target.host), target.port)


def parseSocketAddress(text: str) -> SocketAddress:
    """
    @raise Misfit: where C{text} is neither C{HOST:PORT} nor C{unix:PATH}.
    """
    if text.startswith("unix:"):
        path = text[5:]
        if not path:
            raise Misfit("'unix:' names no path: write unix:PATH")
        # sun_path holds 108 bytes, the closing zero included (unix(7)).
        if len(path.encode()) > 107:
            raise Misfit(f"{path!r} is longer than the 107 bytes that a Unix socket's path may have")
        return SocketAddress(text)
    return SocketAddress(str(parseTarget(text)))


FACE_PORTS = {"udp": 6363, "tcp": 6363, "ws": 9696}
"""
How faces are carried, beside Unix sockets, and the port where none is given.
"""


def parseFaceLocator(text: str) -> FaceLocator:
    """
    @raise Misfit: where C{text} is none.
    """
    transport, _, rest = text.partition(":")
    if transport == "unix":
        return FaceLocator(parseSocketAddress(text))
    if transport not in FACE_PORTS:
        raise Misfit(f"{text!r} is no address of a face: write unix:PATH, or udp:, tcp: or ws: and HOST:PORT")
    path = ""
    if transport == "ws":
        rest, slash, path = rest.partition("/")
        path = slash + path
    try:
        target = Target.fromText(rest, FACE_PORTS[transport])
    except ValueError as error:
        raise Misfit(str(error)) from None
    return FaceLocator(f"{transport}:{Target(parseHost(target.host), target.port)}{path}")


def parseNDNName(text: str) -> NDNName:
    """
    @raise Misfit: where C{text} is no URI of a name.
    """
    name = text.removeprefix("ndn:")
    if not name.startswith("/") or "//" in name or "?" in name or "#" in name:
        raise Misfit(f"{text!r} is no NDN name: write /COMPONENT/COMPONENT")
    return NDNName(name if name == "/" else name.rstrip("/"))


def parseSeconds(value: object) -> Seconds:
    """
    @raise Misfit: where C{value} is not a duration.
    """
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if match is None:
            raise Misfit(f"{value!r} is not a duration: write a number of seconds, or 500ms, 30s, 5m, 2h")
        return Seconds(float(match[1]) * _UNITS[match[2]])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Misfit("expected a duration: a number of seconds, or 500ms, 30s, 5m, 2h")
    if value < 0:
        raise Misfit(f"{value} is negative: a duration is a number of seconds from 0")
    return Seconds(float(value))


def parseSize(value: object) -> Size:
    """
    @raise Misfit: where C{value} is not a number of bytes.
    """
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is None:
            raise Misfit(f"{value!r} is not a size: write a number of bytes, or 64KiB, 16MiB, 1GiB")
        return Size(int(match[1]) * _SIZES[match[2]])
    if isinstance(value, bool) or not isinstance(value, int):
        raise Misfit("expected a size: a number of bytes, or 64KiB, 16MiB, 1GiB")
    if value < 0:
        raise Misfit(f"{value} is negative: a size is a number of bytes from 0")
    return Size(value)


def parseRetryReason(value: object) -> RetryReason:
    """
    @raise Misfit: where C{value} is nothing that a request is sent again for.
    """
    # YAML reads a status as a number.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise Misfit(f"expected one of {', '.join(RETRY_WORDS)}, or a status")
    if text in RETRY_WORDS or (_DIGITS.fullmatch(text) and 400 <= int(text) <= 599):
        return RetryReason(text)
    if _DIGITS.fullmatch(text):
        raise Misfit(f"{text} is not a status of a failure: those are 400 to 599")
    raise Misfit(f"expected one of {', '.join(RETRY_WORDS)}, or a status; found {text!r}", nearest(text, RETRY_WORDS))


def parseWorkerCount(value: int) -> WorkerCount:
    """
    @raise Misfit: where C{value} is out of range.
    """
    if not 1 <= value <= 256:
        raise Misfit(f"{value} workers: between 1 and 256 can be run")
    return WorkerCount(value)


def parseNetwork(text: str) -> Network:
    """
    A CIDR prefix, or one address.

    @raise Misfit: where it is neither; where bits are set past the prefix, the prefix that was meant is suggested.
    """
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise Misfit(f"{text!r} is not a CIDR prefix such as 10.0.0.0/8") from None
    raise Misfit(f"{text!r} has bits set past its prefix", str(meant))


def parseAddress(text: str) -> IPAddress:
    """
    @raise Misfit: where C{text} is no IP address.
    """
    try:
        return ip_address(text)
    except ValueError:
        raise Misfit(f"{text!r} is not an IP address") from None


def parseInterface(text: str) -> Interface:
    """
    @raise Misfit: where C{text} is no address with its prefix.
    """
    try:
        return ip_interface(text)
    except ValueError:
        raise Misfit(f"{text!r} is not an address with its prefix, such as 10.0.0.1/24") from None


def parseTargetPattern(text: str) -> TargetPattern:
    """
    @raise Misfit: with a sentence for the user.
    """
    # A port behind a prefix is for the pattern to read; what is a plain prefix is read here, for its suggestion.
    if "/" in text and "]" not in text and (text.count(":") != 1):
        parseNetwork(text)
    try:
        return TargetPattern.fromText(text)
    except ValueError as error:
        raise Misfit(str(error)) from None


def parseTransport(value: object) -> Transport:
    """
    @raise Misfit: where C{value} is no IP protocol.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Misfit("not an IP protocol: write tcp, udp, icmp, icmpv6 or a number from 0 to 255")
    try:
        return Transport(protocolNumber(str(value)))
    except ValueError as error:
        raise Misfit(str(error), nearest(str(value), PROTOCOLS)) from None
