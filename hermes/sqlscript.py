"""
SQL of several statements, for SQLite: of the HTTP cache and of the controller's store.
"""

from __future__ import annotations

import sqlite3


def statements(script: str) -> list[str]:
    """
    Take a script apart. C{executescript} would end the transaction.

    @param script: statements, each begun on a line of its own.
    @return: these, in order.
    """
    found: list[str] = []
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            found.append(text)
            text = ""
    return found
