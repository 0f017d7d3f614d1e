"""
What is known about one flow while it is open and after it.
"""

from __future__ import annotations

from typing import Any

from attrs import define

from hermes.errors import FlowError
from hermes.values import Flow


@define(eq=False)
class FlowRecord:
    """
    One flow. The counters are written by the splice for each chunk or batch, with nothing between; whoever watches
    reads them when it likes.

    @ivar flow: the flow, as the listener gave it.
    @ivar startedAt: when the listener asked for it, in seconds of the clock.
    @ivar routeName: the route that took it; empty where none did.
    @ivar upstream: the name of the upstream where it ends, or C{"direct"}.
    @ivar hops: the names of the hops that it goes through, in order.
    @ivar bytesIn: from the client.
    @ivar bytesOut: to the client.
    @ivar datagramsIn: from the client.
    @ivar datagramsOut: to the client.
    @ivar channels: of a flow of datagrams: both ends, for what they have dropped.
    @ivar error: what went wrong, in words; L{None} as long as nothing did.
    @ivar status: the HTTP status that answers a flow that was refused; 0 else.
    @ivar proxyStatus: the Proxy-Status error type (RFC 9209 section 2.3) of a flow that was refused.
    @ivar connectDuration: seconds until the far side was up; L{None} before.
    @ivar duration: seconds from C{startedAt} to the end; L{None} while it is open.
    """

    flow: Flow
    startedAt: float
    routeName: str = ""
    upstream: str = ""
    hops: tuple[str, ...] = ()
    bytesIn: int = 0
    bytesOut: int = 0
    datagramsIn: int = 0
    datagramsOut: int = 0
    channels: tuple[Any, ...] = ()
    error: str | None = None
    status: int = 0
    proxyStatus: str | None = None
    connectDuration: float | None = None
    duration: float | None = None

    @property
    def datagramsDropped(self) -> int:
        """
        Datagrams that found a queue full, grew too old in one, or were too large.
        """
        return sum(channel.droppedDatagrams for channel in self.channels)

    def failed(self, error: BaseException) -> None:
        """
        Note what went wrong, where nothing is noted yet.
        """
        if self.error is None:
            self.error = str(error) or type(error).__name__
            if isinstance(error, FlowError):
                self.status, self.proxyStatus = error.status, error.proxyStatus

    def lost(self, side: str, error: BaseException | None) -> None:
        """
        Note that one side's connection was lost otherwise than in order.

        @param side: C{"client"} or C{"target"}.
        """
        if self.error is None:
            self.error = f"{side}: {str(error) or type(error).__name__}"
