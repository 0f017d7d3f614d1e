"""
What an application hears where an Interest brings no Data.
"""

from __future__ import annotations

from hermes.errors import HermesError
from hermes.ndn.packet.lp import NACK_TEXTS


class AppError(HermesError):
    """
    The root of what a client of a forwarder raises. The text is for a user.
    """


class ForwarderUnreachable(AppError):
    """
    Nobody answers where the forwarder should be.
    """


class Disconnected(AppError):
    """
    The connection to the forwarder has ended.
    """


class InterestTimeout(AppError):
    """
    No Data has come within the lifetime of the Interest.
    """


class InterestNack(AppError):
    """
    The network has answered with a Nack.

    @ivar reason: NackReason, as in L{hermes.ndn.packet.lp}.
    """

    def __init__(self, what: str, reason: int) -> None:
        super().__init__(f"{what}: {NACK_TEXTS.get(reason, f'reason {reason}')} (Nack)")
        self.reason = reason


class CommandFailed(AppError):
    """
    The forwarder has refused a command.

    @ivar code: as HTTP's: 403 is not authorized.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"the forwarder refuses: {code} {text}")
        self.code = code


class FetchFailed(AppError):
    """
    An object can't be had as a whole.
    """


class NoSuchObject(FetchFailed):
    """
    Its producer has answered that there is none (a ContentType of Nack).
    """
