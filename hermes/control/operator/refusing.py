"""
What a caller is told of an error.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.config import ConfigError
from hermes.control.errors import (
    Busy,
    ControlError,
    NodeCallFailed,
    NotLeading,
    Superseded,
    UnknownNode,
    UnknownVersion,
)
from hermes.control.explaining import Unasked
from hermes.control.operator.access import TooMany, Unauthorized

STATUS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (Unauthorized, 401),
    (TooMany, 429),
    (ConfigError, 422),
    (Unasked, 422),
    (Busy, 409),
    (Superseded, 409),
    (NotLeading, 503),
    (UnknownNode, 404),
    (UnknownVersion, 404),
    (NodeCallFailed, 504),
    (ControlError, 400),
    (ValueError, 400),
)

_log = Logger()


def statusOf(failure: Failure) -> tuple[int, str]:
    """
    The HTTP status and the text. What is nobody's business but the log's is told there.
    """
    error = failure.value
    for kind, status in STATUS:
        if isinstance(error, kind):
            return status, str(error)
    if not isinstance(error, CancelledError):
        _log.failure("a call of the operator's interface failed", failure)
    return 500, "internal error: the controller's log says more"
