"""
What can go wrong with a flow, and how a peer is told: an HTTP status and a Proxy-Status error type (RFC 9209).
"""

from __future__ import annotations


class HermesError(Exception):
    """
    The root of what Hermes raises.
    """


class ListenError(HermesError):
    """
    A listener can't be had, or could not be bound. The text is for the operator, and names the address.
    """


class FlowError(HermesError):
    """
    A flow could not be opened. The text is for the peer and for the log: it names no secret and no inner address.

    @ivar status: the HTTP status that answers the request.
    @ivar proxyStatus: the Proxy-Status error type (RFC 9209 section 2.3).
    @ivar sent: whether something of the request may have reached its target: whoever tries once more must know.
    @ivar answered: the HTTP status that the next hop answered, or L{None}.
    @ivar hopStatus: what the proxies beyond have said in their Proxy-Status field, or L{None}.
    """

    status: int = 502
    proxyStatus: str = "proxy_internal_error"
    sent: bool = False
    answered: int | None = None
    hopStatus: bytes | None = None

    @property
    def cause(self) -> str:
        """
        The Proxy-Status error type of the proxy that failed, which may be one beyond the next hop.
        """
        return self.proxyStatus


class BadRequest(FlowError):
    """
    The request does not say what to open (a malformed target, a missing field).
    """

    status = 400
    proxyStatus = "http_request_error"


class CredentialsRequired(FlowError):
    """
    The listener takes nobody it can't name.
    """

    status = 407
    proxyStatus = "http_request_denied"


class NoRoute(FlowError):
    """
    No route takes the flow, or one denies it.
    """

    status = 403
    proxyStatus = "http_request_denied"


class TargetProhibited(FlowError):
    """
    The target is a special-purpose address, or a name that resolves to one, and no route allows it.
    """

    status = 403
    proxyStatus = "destination_ip_prohibited"


class NotImplementedHere(FlowError):
    """
    A kind of tunnel that this proxy does not speak.
    """

    status = 501
    proxyStatus = "http_request_error"


class NameNotFound(FlowError):
    """
    The target's name does not resolve.
    """

    status = 502
    proxyStatus = "dns_error"


class NameTimeout(FlowError):
    """
    Resolving the target's name took too long.
    """

    status = 504
    proxyStatus = "dns_timeout"


class TargetRefused(FlowError):
    """
    The target refused the connection.
    """

    status = 502
    proxyStatus = "connection_refused"


class TargetUnreachable(FlowError):
    """
    There is no way to the target's address.
    """

    status = 502
    proxyStatus = "destination_ip_unroutable"


class TargetTimeout(FlowError):
    """
    Connecting to the target, or to the next hop, took too long.
    """

    status = 504
    proxyStatus = "connection_timeout"


class HopUnavailable(FlowError):
    """
    The next hop could not be reached, or closed the connection before it answered.
    """

    status = 502
    proxyStatus = "destination_unavailable"


class HopUntrusted(FlowError):
    """
    TLS with the next hop failed: its certificate is not the one that was expected, or ours was not taken.

    @ivar certificateError: which of OpenSSL's C{X509_V_ERR_*} it is, where it is one; or 0.
    """

    status = 502
    proxyStatus = "tls_certificate_error"

    def __init__(self, message: str, certificateError: int = 0) -> None:
        super().__init__(message)
        self.certificateError = certificateError


class HopRefused(FlowError):
    """
    The next hop answered the tunnel request with something else than success.

    @ivar told: the Proxy-Status error type of the proxy nearest to the target, or L{None}.
    """

    def __init__(self, message: str, answered: int, hopStatus: bytes | None = None, told: str | None = None) -> None:
        """
        @param answered: its HTTP status.
        @param hopStatus: its Proxy-Status field, or L{None}.
        """
        super().__init__(message)
        self.answered = answered
        self.hopStatus = hopStatus
        self.told = told
        # Authority stays where it is refused: a 4xx of the hop about the target is ours to pass on, its 407 is not.
        self.status = answered if answered in (403, 404, 501, 502, 503, 504) else 502
        self.proxyStatus = "http_request_denied" if answered == 403 else "http_upgrade_failed"

    @property
    def cause(self) -> str:
        return self.told or self.proxyStatus


class RequestBroken(FlowError):
    """
    The peer broke off before it answered a request, or in the middle of its answer.
    """

    status = 502
    proxyStatus = "http_response_incomplete"
    sent = True


class StreamRefused(FlowError):
    """
    The peer refused a request before it looked at it (REFUSED_STREAM, or above the last stream of GOAWAY).
    """

    status = 503
    proxyStatus = "connection_limit_reached"


class ResponseTimeout(FlowError):
    """
    No response came in time.
    """

    status = 504
    proxyStatus = "http_response_timeout"
    sent = True


class Overloaded(FlowError):
    """
    A bound of ours was reached: flows, streams, pending dials.
    """

    status = 503
    proxyStatus = "connection_limit_reached"


class ShuttingDown(FlowError):
    """
    The proxy drains: it opens nothing new.
    """

    status = 503
    proxyStatus = "destination_unavailable"


class StreamReset(HermesError):
    """
    A stream ended with RST_STREAM, from the peer or from us.

    @ivar code: the HTTP/2 error code (RFC 9113 section 7).
    @ivar drained: the peer's connection was ending, and it has not looked at the stream (GOAWAY, section 6.8).
    """

    def __init__(self, code: int, message: str = "", drained: bool = False) -> None:
        super().__init__(message or f"stream reset with error code {code}")
        self.code = code
        self.drained = drained
