"""
Who a certificate says that its holder is.
"""

from __future__ import annotations

from ipaddress import ip_address

from attrs import frozen
from cryptography import x509
from service_identity.exceptions import URIMismatch
from service_identity.hazmat import (
    DNS_ID,
    CertificatePattern,
    DNSPattern,
    IPAddress_ID,
    IPAddressPattern,
    ServiceID,
    URIPattern,
)

from hermes.net.authority import NODE_NAME, SCHEME
from hermes.values import ANONYMOUS, Identity


def nodeNames(certificate: x509.Certificate) -> list[str]:
    """
    The names in the C{hermes://NAME} URIs of a certificate, in lower case.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    uris = (uri.lower() for uri in names.get_values_for_type(x509.UniformResourceIdentifier))
    found = [uri[len(SCHEME) :].rstrip("/") for uri in uris if uri.startswith(SCHEME)]
    return [name for name in found if NODE_NAME.fullmatch(name)]


def identityOf(certificate: x509.Certificate | None) -> Identity:
    """
    The identity that a verified certificate gives. One that names no node, or more than one, gives none.
    """
    names = nodeNames(certificate) if certificate is not None else []
    return Identity(node=names[0]) if len(names) == 1 else ANONYMOUS


@frozen
class _NodeID:
    """
    A service ID for service-identity: its own URI-ID knows no C{//}.
    """

    node: str
    pattern_class = URIPattern
    error_on_mismatch = URIMismatch

    def verify(self, pattern: CertificatePattern) -> bool:
        return (
            isinstance(pattern, URIPattern)
            and pattern.protocol_pattern == b"hermes"
            and pattern.dns_pattern.pattern == self.node.lower().encode("ascii")
        )


def patternsOf(certificate: x509.Certificate) -> list[CertificatePattern]:
    """
    The names that are matched: node URIs, DNS names, addresses. Others don't matter, and might not parse.
    """
    patterns: list[CertificatePattern] = [
        URIPattern(b"hermes", DNSPattern(name.encode("ascii"))) for name in nodeNames(certificate)
    ]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return patterns
    patterns += [DNSPattern.from_bytes(name.encode("ascii")) for name in names.get_values_for_type(x509.DNSName)]
    patterns += [IPAddressPattern(ip_address(str(name))) for name in names.get_values_for_type(x509.IPAddress)]
    return patterns


def serviceID(node: str | None, serverName: str | None) -> ServiceID:
    """
    What a server's certificate must hold: the name of a node or, where that is not given, a DNS name or address.
    """
    if node is not None:
        return _NodeID(node)
    assert serverName is not None
    try:
        return IPAddress_ID(serverName)
    except ValueError:
        return DNS_ID(serverName)
