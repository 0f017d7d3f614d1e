"""
Probes: flows and requests of the agent's own, through the routes of its node, as those of its users go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, gatherResults, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.python.failure import Failure

from hermes.control.values import Probe, ProbeResult
from hermes.errors import FlowError, HopRefused, NoRoute, TargetProhibited
from hermes.interfaces import IDatagramReceiver
from hermes.messages import Request, RequestRecord, Response
from hermes.values import Flow, Identity, RequestHead, Target

LISTENER = "(probe)"
"""
What such flows have come in by where the probe does not say: no listener can be called so.
"""


class Probed(Protocol):
    """
    What is probed through; L{hermes.node.Node} is one.
    """

    @property
    def flows(self) -> Any: ...

    @property
    def requests(self) -> Any: ...


def probeAll(node: Probed, probes: Sequence[Probe], clock: IReactorTime) -> Deferred[Sequence[ProbeResult]]:
    """
    Try each, at the same time. Fires with the results in the order of the probes.
    """
    results: Deferred[Any] = gatherResults([probe(node, each, clock) for each in probes])
    return results


def probe(node: Probed, each: Probe, clock: IReactorTime) -> Deferred[ProbeResult]:
    """
    Try one. Never errbacks.
    """
    startedAt = clock.seconds()
    trying = maybeDeferred(_TRIES[each.protocol], node, each, startedAt)
    trying.addTimeout(each.timeout, clock)
    return trying.addCallbacks(_came, _failed, (each,), errbackArgs=(each,)).addCallback(
        lambda told: ProbeResult(each.name, told[0], told[1], round(clock.seconds() - startedAt, 3))
    )


def _stream(node: Probed, each: Probe, startedAt: float) -> Deferred[str]:
    def opened(near: IProtocol) -> str:
        near.connectionLost(Failure(ConnectionDone()))
        return f"connected to {each.target}"

    opening: Deferred[Any] = node.flows.openStream(_flow(each, "tcp"))
    return opening.addCallback(opened)


def _datagrams(node: Probed, each: Probe, startedAt: float) -> Deferred[str]:
    def opened(near: IDatagramReceiver) -> str:
        near.channelLost(Failure(ConnectionDone()))
        return f"a flow of datagrams to {each.target} can be opened"

    opening: Deferred[Any] = node.flows.openDatagrams(_flow(each, "udp"))
    return opening.addCallback(opened)


def _request(node: Probed, each: Probe, startedAt: float) -> Deferred[str]:
    flow = _flow(each, "http")
    head = RequestHead(
        b"GET", b"http", str(flow.target).encode(), each.path.encode(), None, ((b"user-agent", b"hermes"),)
    )

    def answered(response: Response) -> str:
        if response.body is not None:
            response.body.stopProducing()
        status = response.head.status
        if status == 403:
            raise HopRefused(f"{each.target} answered {status}", status, told="http_request_denied")
        if status >= 500:
            raise FlowError(f"{each.target} answered {status}")
        return f"{each.target} answered {status}"

    request = Request(head, flow, RequestRecord(flow, head, "1.1", startedAt))
    sending: Deferred[Response] = node.requests.plans.decide(request).send(request)
    return sending.addCallback(answered)


_TRIES = {"tcp": _stream, "udp": _datagrams, "http": _request}


def _flow(each: Probe, protocol: str) -> Flow:
    target = Target.fromText(each.target, 80 if protocol == "http" else None)
    return Flow(protocol, target, None, Identity(user=each.user or None), each.listener or LISTENER)


def _came(text: str, each: Probe) -> tuple[bool, str]:
    return (True, text) if each.expect else (False, f"{text}, and should have been refused")


def _failed(failure: Failure, each: Probe) -> tuple[bool, str]:
    if failure.check(TimeoutError, CancelledError):
        return False, f"{each.target} did not answer in {each.timeout:g} seconds"
    error = failure.value
    assert error is not None
    if denied(error):
        return not each.expect, f"refused: {failure.getErrorMessage()}"
    # Where it is to be refused by a route, that something is down proves nothing.
    return False, str(error) or type(error).__name__


def denied(error: BaseException) -> bool:
    """
    Whether a route, here or at a node beyond, says no.
    """
    if isinstance(error, HopRefused):
        return error.cause in ("http_request_denied", "destination_ip_prohibited")
    return isinstance(error, NoRoute | TargetProhibited)
