"""
What can go wrong with a store. Each text is for the operator, and says what to do where there is something to do.
"""

from __future__ import annotations

from hermes.control.errors import ControlError


class StoreError(ControlError):
    """
    The root of these.
    """


class StoreUnavailable(StoreError):
    """
    The store does not answer. Whether what was asked is done is not known.
    """


class StoreFull(StoreError):
    """
    There is no room. Nothing was changed.
    """


class StoreCorrupt(StoreError):
    """
    What is stored can't be read. Nothing was changed.

    @ivar key: what can't be read: the name of the key, or of the file.
    """

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key}: {text}")
        self.key = key


class StoreInUse(StoreError):
    """
    Another process has it.
    """


class StoreTooNew(StoreError):
    """
    A newer Hermes has made it.
    """


class StoreRefused(StoreError):
    """
    The store refuses this controller: wrong password, no rights, a certificate that is not trusted.
    """


class ValueTooLarge(StoreError):
    """
    So much is not stored. Nothing was changed.
    """
