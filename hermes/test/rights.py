"""
Tests as somebody who has no rights.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from threading import Thread
from typing import TypeVar

T = TypeVar("T")

_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


def withoutRights(function: Callable[[], T]) -> T:
    """
    Call C{function} in a thread that has no capabilities any more: they are a thread's own. It stays root as far as
    files go.

    @return: what it returns; what it raises is raised.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            _dropCapabilities()
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _dropCapabilities() -> None:
    # struct __user_cap_header_struct: version and thread, 0 for this one. Two times struct __user_cap_data_struct:
    # effective, permitted, inheritable.
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    if _libc.capset(header, data) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
