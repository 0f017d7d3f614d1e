"""
SQLite: what all stores do.
"""

from __future__ import annotations

from hermes.test.control.store.contract import StoreContract
from hermes.test.control.store.sqlitecase import SQLiteCase


class SQLiteStoreTests(SQLiteCase, StoreContract):
    """
    See L{StoreContract}.
    """

    shared = False
