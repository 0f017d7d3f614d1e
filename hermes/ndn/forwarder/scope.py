"""
How far names go: C{/localhost} stays on this host, C{/localhop} with the next (NFD's scope control).
"""

from __future__ import annotations

from typing import Final

LOCALHOST: Final = b"\x08\x09localhost"
LOCALHOP: Final = b"\x08\x08localhop"

ANYWHERE: Final = 0
HOST: Final = 1
HOP: Final = 2
"""
Scopes: any face; local faces only; local faces, and others where it has come from a local one.
"""


def scopeOf(name: bytes) -> int:
    """
    The scope of a name's value.
    """
    if name.startswith(LOCALHOST):
        return HOST
    return HOP if name.startswith(LOCALHOP) else ANYWHERE
