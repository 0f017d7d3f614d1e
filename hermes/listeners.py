"""
The types of listeners and of assisting components that are installed: those of Hermes and those of extensions, all
found as Twisted plugins.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.plugin import getPlugins

from hermes.interfaces import IAssistantType, IListenerType

_log = Logger(namespace="hermes.listeners")


def listenerTypes() -> dict[str, IListenerType]:
    """
    The types of listeners, by the value of the C{type} key. Where two plugins claim one, the first that Twisted finds
    has it, and the other is logged.
    """
    return _installed(IListenerType, "listener")


def assistantTypes() -> dict[str, IAssistantType]:
    """
    The same for assisting components.
    """
    return _installed(IAssistantType, "assisting component")


def _installed(interface: Any, what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for plugin in getPlugins(interface):
        if plugin.type in found:
            _log.warn(
                "{what} type {type!r} is claimed twice; {plugin!r} is not used",
                what=what,
                type=plugin.type,
                plugin=plugin,
            )
        else:
            found[plugin.type] = plugin
    return found
