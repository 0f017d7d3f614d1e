"""
What can still be read of an SQLite store that is corrupt, in a new file::

    python -m hermes.control.store.salvage FILE NEW

The old one is only read.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final
from urllib.parse import quote

from attrs import frozen

from hermes.control.store.errors import StoreCorrupt, StoreError
from hermes.control.store.sqlitefile import SQLiteFile

TABLES: Final = {
    "version": "number",
    "body": "number",
    "overlay": "id",
    "node": "name",
    "revocation": "serial",
    "token": "hashed",
    "secret": "name",
    "audit": "number",
}
"""
Each with its key.
"""


@frozen
class Saved:
    """
    What came of one table.

    @ivar rows: how many could be read, and were taken.
    @ivar whole: whether these are all that there were.
    """

    rows: int
    whole: bool


def salvage(old: str, new: str) -> dict[str, Saved]:
    """
    Copy what can be read. It blocks.

    @param new: the path of a file that is not there yet.
    @return: by table.
    @raise StoreError: nothing could be read, or C{new} can't be made.
    """
    if os.path.exists(new):
        raise StoreError(f"{new} is there already")
    if not os.path.exists(old):
        raise StoreError(f"{old} is not there")
    with closing(sqlite3.connect(f"file:{quote(os.path.abspath(old))}?mode=ro", uri=True)) as source:
        source.text_factory = _text
        try:
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError as error:
            raise StoreCorrupt(old, f"nothing of it can be read: {error}") from None
        file = SQLiteFile(new)
        file.open()
        try:
            with closing(sqlite3.connect(new)) as target:
                target.execute("DELETE FROM overlay")
                saved = {table: _copy(source, target, table) for table in TABLES}
                # Of a table of one row, there is one.
                target.execute("INSERT OR IGNORE INTO overlay VALUES (0, NULL)")
                target.commit()
        finally:
            file.release()
    return saved


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> Saved:
    rows, whole = _read(source, table)
    taken = 0
    for row in rows:
        try:
            target.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
            taken += 1
        except sqlite3.Error:
            # Not what such a row can be.
            whole = False
    return Saved(taken, whole)


def _read(source: sqlite3.Connection, table: str) -> tuple[Sequence[Sequence[Any]], bool]:
    """
    From the beginning, until something can't be read; and then from the end.
    """
    found: dict[Any, Sequence[Any]] = {}
    for direction in ("ASC", "DESC"):
        try:
            for row in source.execute(f"SELECT * FROM {table} ORDER BY {TABLES[table]} {direction}"):
                found.setdefault(row[0], row)
        except sqlite3.Error:
            continue
        return list(found.values()), direction == "ASC"
    return list(found.values()), False


def main(arguments: Sequence[str]) -> int:
    """
    @return: the exit status: 0 where everything was read, 1 where not, 2 where nothing was.
    """
    if len(arguments) != 2:
        print("python -m hermes.control.store.salvage FILE NEW", file=sys.stderr)
        return 2
    try:
        saved = salvage(*arguments)
    except StoreError as error:
        print(error, file=sys.stderr)
        return 2
    for table, each in saved.items():
        print(f"{table:10} {each.rows:8}{'' if each.whole else '  and what could not be read'}")
    return 0 if all(each.whole for each in saved.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
