"""
C{type: cache}.
"""

from __future__ import annotations

from typing import Any

from twisted.plugin import IPlugin
from zope.interface import implementer

from hermes.assist.cache.cache import Cache
from hermes.assist.cache.disk import DiskStore, checkPath
from hermes.assist.cache.memory import MemoryStore
from hermes.assist.cache.metrics import metricsIn
from hermes.assist.cache.options import CacheOptions, rulesOf
from hermes.assist.cache.store import IObjectStore
from hermes.errors import HermesError
from hermes.interfaces import IAssistant, IAssistantContext, IAssistantType


@implementer(IAssistantType, IPlugin)
class CacheType:
    """
    See L{IAssistantType}.
    """

    type = "cache"
    options = CacheOptions

    def assistant(self, name: str, options: Any, context: IAssistantContext) -> IAssistant:
        store = self._store(options, context)
        commons = context.commons
        cache: Cache = Cache(
            name,
            context.nodeName,
            options,
            store,
            context.reactor,
            metricsIn(context.registry),
            lambda: commons.withdraw("cache", name, cache),
        )
        # Whatever else has objects may keep them in its store: an NDN forwarder does.
        commons.offer("cache", name, cache)
        return cache

    def _store(self, options: CacheOptions, context: IAssistantContext) -> IObjectStore:
        if options.path is None:
            return MemoryStore(options.size, options.largest)
        problem = checkPath(options.path)
        if problem is not None:
            raise HermesError(f"the cache has no place to keep what it stores: {problem}")
        return DiskStore.threaded(options.path, options.size, options.largest, rulesOf(options), context.reactor)
