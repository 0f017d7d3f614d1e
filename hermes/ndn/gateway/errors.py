"""
Why an object can't be had, as HTTP says it.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone

from hermes.errors import BadRequest, FlowError
from hermes.ndn.app.errors import Disconnected, FetchFailed, InterestNack, InterestTimeout, NoSuchObject
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.lp import NACK_CONGESTION, NACK_NO_ROUTE
from hermes.ndn.security.errors import Untrusted


class ObjectNotFound(FlowError):
    """
    Nothing leads to the name, or its producer says that there is no such object.
    """

    status = 404
    proxyStatus = "destination_not_found"


class ObjectTimeout(FlowError):
    """
    Nobody has answered in time.
    """

    status = 504
    proxyStatus = "http_response_timeout"
    sent = True


class ObjectUntrusted(FlowError):
    """
    Somebody has answered, and is not believed.
    """

    status = 502
    proxyStatus = "destination_unavailable"
    sent = True


class ObjectBroken(FlowError):
    """
    What has come is no object, or not all of one.
    """

    status = 502
    proxyStatus = "http_response_incomplete"
    sent = True


class NetworkBusy(FlowError):
    """
    The network has no room for what was asked.
    """

    status = 503
    proxyStatus = "connection_limit_reached"


class ForwarderGone(FlowError):
    """
    This node's forwarder does not run, or has stopped.
    """

    status = 503
    proxyStatus = "destination_unavailable"


def asHTTP(error: BaseException) -> FlowError:
    """
    What HTTP says to what NDN has said.

    @raise BaseException: C{error} itself, where it is something else.
    """
    if isinstance(error, FlowError):
        return error
    if isinstance(error, InterestNack):
        if error.reason == NACK_CONGESTION:
            return NetworkBusy("the network is congested")
        return ObjectNotFound("nothing leads there" if error.reason == NACK_NO_ROUTE else "the network has refused it")
    if isinstance(error, InterestTimeout):
        return ObjectTimeout("nobody has answered in time")
    if isinstance(error, Untrusted):
        return ObjectUntrusted(f"the signature is not believed: {error}")
    if isinstance(error, Disconnected | ConnectionDone):
        return ForwarderGone("the forwarder has stopped")
    if isinstance(error, NoSuchObject):
        return ObjectNotFound("its producer has no such object")
    if isinstance(error, FetchFailed | PacketError):
        return ObjectBroken(str(error))
    if isinstance(error, ValueError):
        return BadRequest(str(error))
    raise error
