"""
C{type: cache}: a shared cache (RFC 9111) as an assisting component.

What a request asks is L{asked <hermes.assist.cache.asked>}, for how long a response is fresh and whether it may be
stored are L{freshness <hermes.assist.cache.freshness>} and L{storing <hermes.assist.cache.storing>}: functions of
heads and times. One request is a L{Handling <hermes.assist.cache.handling.Handling>}, one request to the origin a
L{Flight <hermes.assist.cache.flight.Flight>}, for which others can wait, and one body on its way into the store a
L{Fill <hermes.assist.cache.fill.Fill>}, along which others can read. A store is an
L{IObjectStore <hermes.assist.cache.store.IObjectStore>}.
"""

from hermes.assist.cache.cache import Cache
from hermes.assist.cache.options import CacheOptions
from hermes.assist.cache.store import IObjectStore

__all__ = ["Cache", "CacheOptions", "IObjectStore"]
