"""
The types of listeners that are installed: those of Hermes and those of extensions, all found as Twisted plugins.
"""

from __future__ import annotations

from twisted.logger import Logger
from twisted.plugin import getPlugins

from hermes.interfaces import IListenerType

_log = Logger(namespace="hermes.listeners")


def listenerTypes() -> dict[str, IListenerType]:
    """
    The types by the value of the C{type} key. Where two plugins claim one, the first that Twisted finds has it, and the
    other is logged.
    """
    found: dict[str, IListenerType] = {}
    for listenerType in getPlugins(IListenerType):
        if listenerType.type in found:
            _log.warn(
                "listener type {type!r} is claimed twice; {plugin!r} is not used",
                type=listenerType.type,
                plugin=listenerType,
            )
        else:
            found[listenerType.type] = listenerType
    return found
