"""
What a CONNECT-IP request asks for: where packets are to go, and of which protocol they are (RFC 9484 section 4.6).
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Final

from hermes.values import Target
from hermes.wire.errors import MalformedError
from hermes.wire.host import parseHost

EVERYWHERE: Final = "*"
"""
The target of a tunnel that is not limited to one; as C{ipproto}, every protocol.
"""

_NUMBER = re.compile(r"[0-9]{1,3}")
# What looks like an IPv4 address and is none would be a name that nothing resolves.
_DOTTED = re.compile(r"[0-9.]+")


def scopeOf(values: dict[str, str]) -> tuple[Target, int | None]:
    """
    The variables C{target} and C{ipproto} of a request, percent-decoded. Either may be absent, which is the same as
    C{*}.

    @return: the target, whose host is C{*}, a name, an address or a prefix, in its canonical form, and whose port is 0;
        and the IP protocol, or L{None} for every one.
    @raise MalformedError: where one is not as RFC 9484 section 4.6 has it.
    """
    return Target(parseScope(values.get("target", EVERYWHERE)), 0), parseProtocol(values.get("ipproto", EVERYWHERE))


def parseScope(text: str) -> str:
    """
    C{*}, a name, an IP address, or an IP prefix: C{ADDRESS/LENGTH}.

    @return: the same in its canonical form: nothing of an address is set behind its prefix, a prefix that covers one
        address is that address.
    @raise MalformedError: for what is none of them.
    """
    if text == EVERYWHERE:
        return text
    address, slash, length = text.partition("/")
    try:
        host = parseHost(address.encode("ascii"))
    except UnicodeEncodeError:
        raise MalformedError("the target is not in ASCII") from None
    if not slash and not (_DOTTED.fullmatch(host) or ":" in host):
        return host
    try:
        parsed = ip_address(host)
    except ValueError:
        raise MalformedError("the target is neither a name nor an address nor a prefix") from None
    if not slash:
        return str(parsed)
    if not _NUMBER.fullmatch(length) or int(length) > parsed.max_prefixlen:
        raise MalformedError("the target's prefix length is not one")
    network = ip_network((parsed, int(length)), strict=False)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def parseProtocol(text: str) -> int | None:
    """
    C{*}, or the number of an IP protocol.

    @return: 0 to 255, or L{None} for every one.
    @raise MalformedError: for anything else.
    """
    if text == EVERYWHERE:
        return None
    if not _NUMBER.fullmatch(text) or int(text) > 255:
        raise MalformedError("the IP protocol is not a number from 0 to 255")
    return int(text)
