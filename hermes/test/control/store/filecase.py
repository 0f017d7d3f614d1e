"""
A store in a file, and the file.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Any

from hermes.control.values import AuditEntry, NodeEntry
from hermes.test.control.store.sqlitecase import SQLiteCase
from hermes.test.control.store.user import StoreUser, record


class FileCase(SQLiteCase, StoreUser):
    """
    A store, and its file seen from outside.
    """

    async def filled(self) -> None:
        """
        A file with a bit of everything in it, closed.
        """
        store = await self.leading()
        for number in range(1, 6):
            await store.appendVersion(record(f"{number} " * 20_000, None if number == 1 else number - 1))
            await store.setPhase(number, "preparing", "committed")
        for number in range(50):
            await store.putNode(NodeEntry(f"node{number}", "ab" * 20))
            await store.audit(AuditEntry(1.0, "alice", "apply"))
        await store.putSecret("authority", b"key")
        await self.closed(store)

    def content(self) -> dict[str, bytes]:
        """
        The files of the store's directory, but for what is only there while somebody has it.
        """
        directory = os.path.dirname(self.path)
        found = {}
        for name in os.listdir(directory):
            if not name.endswith(("-shm", ".lock")):
                with open(os.path.join(directory, name), "rb") as file:
                    found[name] = file.read()
        # An empty log is none.
        return {name: content for name, content in found.items() if content or not name.endswith("-wal")}

    def execute(self, statement: str, *arguments: Any) -> None:
        """
        As somebody with sqlite3(1).
        """
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, arguments)

    async def refused(self, kind: type[Exception]) -> str:
        """
        Why it does not start; nothing was changed by that.
        """
        before = self.content()
        store = self.makeStore()
        error = await self.failing(kind, store.start())
        await store.close()
        self.assertEqual(self.content(), before)
        return str(error)
