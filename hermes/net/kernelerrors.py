"""
What the kernel refuses to a network device, in sentences for whoever runs the node.
"""

from __future__ import annotations

from hermes.errors import HermesError

CAP_NET_ADMIN = "CAP_NET_ADMIN"


class KernelError(HermesError):
    """
    The kernel does not do what a device needs. The text is for the operator.

    @ivar number: the C{errno} behind it, or 0.
    """

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.number = number


class MissingCapability(KernelError):
    """
    This process lacks a right.

    @ivar capability: its name, see capabilities(7).
    """

    def __init__(self, what: str, capability: str = CAP_NET_ADMIN, number: int = 0) -> None:
        """
        @param what: what needs it: the beginning of the sentence.
        """
        super().__init__(
            f"{what} needs {capability}, which this process does not have (in a systemd unit, "
            f"AmbientCapabilities={capability} gives it; docs/howto/tun-rights says more)",
            number,
        )
        self.capability = capability


class NoTunDriver(KernelError):
    """
    This machine has no TUN devices, or does not let this process have any.
    """


class DeviceGone(KernelError):
    """
    A device has gone away and does not come back.
    """
