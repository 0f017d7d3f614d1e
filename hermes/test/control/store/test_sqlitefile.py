"""
The file of an SQLite store: who has it, what can be wrong with it, and what is done about that.
"""

from __future__ import annotations

import errno
import os
import random
import sqlite3
import stat
from contextlib import closing
from typing import Any

from twisted.internet.task import deferLater

from hermes.control.store.errors import StoreCorrupt, StoreInUse, StoreTooNew, StoreUnavailable
from hermes.control.store.sqlitefile import MIGRATIONS, SQLiteFile
from hermes.control.values import NodeEntry
from hermes.test.control.store.filecase import FileCase
from hermes.test.control.store.killing import Writer


class OpeningTests(FileCase):
    """
    Who has the file, and of which form it is.
    """

    async def test_only_its_owner_may_read_what_is_in_it(self) -> None:
        self.addCleanup(os.umask, os.umask(0))
        store = await self.opened()
        await store.putSecret("authority", b"key")
        directory = os.path.dirname(self.path)
        for name in os.listdir(directory):
            mode = stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode)
            self.assertEqual(mode, 0o600, name)
        self.assertEqual(stat.S_IMODE(os.stat(directory).st_mode), 0o700)

    async def test_a_second_controller_is_refused_and_told_who_has_it(self) -> None:
        store = await self.opened()
        second = self.makeStore()
        error = await self.failing(StoreInUse, second.start())
        self.assertIn(f"process {os.getpid()}", str(error))
        await second.close()
        # The first one has noticed nothing.
        await store.putNode(NodeEntry("edge"))
        await self.closed(store)
        await self.opened()

    async def test_a_second_process_is_refused(self) -> None:
        writer = Writer(f"sqlite:{self.path}")
        self.addCleanup(writer.kill)
        writer.until(3)
        store = self.makeStore()
        error = await self.failing(StoreInUse, store.start())
        self.assertIn(f"process {writer.process}", str(error))
        await store.close()

    async def test_whoever_looks_with_sqlite3_does_no_harm(self) -> None:
        store = await self.opened()
        await store.putNode(NodeEntry("edge"))
        copy = os.path.join(self.directory, "copy.db")
        with closing(sqlite3.connect(self.path)) as other:
            self.assertEqual(other.execute("SELECT name FROM node").fetchall(), [("edge",)])
            with closing(sqlite3.connect(copy)) as backup:
                other.backup(backup)
        await store.putNode(NodeEntry("relay"))
        await self.closed(store)
        # The backup is a store.
        self.path = copy
        restored = await self.opened()
        self.assertEqual([each.name for each in await restored.nodes()], ["edge"])

    async def test_what_writes_beside_it_is_waited_for(self) -> None:
        store = await self.opened()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = store.putNode(NodeEntry("edge"))
            await deferLater(self.reactor, 0.05)
            self.assertFalse(waiting.called)
            other.execute("ROLLBACK")
        await waiting

    async def test_a_newer_form_is_refused(self) -> None:
        await self.filled()
        self.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        self.assertIn("a newer Hermes has made it", await self.refused(StoreTooNew))

    async def test_an_older_form_is_brought_up_and_kept_beside(self) -> None:
        await self.filled()
        newer = (*MIGRATIONS, "ALTER TABLE token ADD COLUMN madeBy TEXT;\nCREATE TABLE more (name TEXT);\n")
        file = SQLiteFile(self.path, newer)
        file.open()
        file.release()
        with closing(sqlite3.connect(self.path)) as connection:
            self.assertEqual(connection.execute("PRAGMA user_version").fetchone(), (2,))
            self.assertEqual(connection.execute("SELECT madeBy FROM token").fetchall(), [])
            self.assertEqual(connection.execute("SELECT count(*) FROM node").fetchone(), (50,))
        # This Hermes can't use it any more, but what is kept is as it was.
        self.path += ".form-1"
        store = await self.opened()
        self.assertEqual(await store.current(), 5)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    async def test_a_step_to_a_newer_form_that_fails_leaves_the_older(self) -> None:
        await self.filled()
        newer = (*MIGRATIONS, "CREATE TABLE more (name TEXT);\nCREATE TABLE token (twice TEXT);\n")
        file = SQLiteFile(self.path, newer)
        self.assertRaises(StoreUnavailable, file.open)
        store = await self.opened()
        self.assertEqual(await store.current(), 5)
        with closing(sqlite3.connect(self.path)) as connection:
            self.assertEqual(connection.execute("SELECT name FROM sqlite_schema WHERE name = 'more'").fetchall(), [])

    async def test_one_whose_making_was_cut_short_is_made_anew(self) -> None:
        os.makedirs(os.path.dirname(self.path))
        with open(self.path + ".new", "wb") as file:
            file.write(b"SQLite format 3\0half")
        store = await self.opened()
        self.assertEqual(list(await store.nodes()), [])
        self.assertFalse(os.path.exists(self.path + ".new"))

    async def test_a_directory_that_cannot_be_made_is_told(self) -> None:
        with open(os.path.join(self.directory, "state"), "wb"):
            pass
        store = self.makeStore()
        error = await self.failing(StoreUnavailable, store.start())
        self.assertIn(os.strerror(errno.EEXIST), str(error))
        await store.close()

    async def test_closing_while_it_opens_lets_go_of_it(self) -> None:
        store = self.makeStore()
        starting = store.start()
        await store.close()
        await self.failing(StoreUnavailable, starting)
        await self.opened()

    async def test_a_closed_store_says_so(self) -> None:
        store = await self.opened()
        await self.closed(store)
        error = await self.failing(StoreUnavailable, store.nodes())
        self.assertIn("is not open", str(error))


class CorruptionTests(FileCase):
    """
    Files that are not what they should be. None is replaced: with it the authority would be gone that all nodes trust.
    """

    async def test_no_database_at_all_is_refused_and_left(self) -> None:
        os.makedirs(os.path.dirname(self.path))
        with open(self.path, "wb") as file:
            file.write(b"overlay: example\n" * 1000)
        text = await self.refused(StoreCorrupt)
        self.assertIn(self.path, text)
        self.assertIn("backup", text)
        self.assertIn(f"salvage {self.path}", text)

    async def test_an_empty_file_is_refused_and_left(self) -> None:
        os.makedirs(os.path.dirname(self.path))
        with open(self.path, "wb"):
            pass
        self.assertIn("is empty", await self.refused(StoreCorrupt))

    async def test_somebody_elses_database_is_refused_and_left(self) -> None:
        os.makedirs(os.path.dirname(self.path))
        self.execute("CREATE TABLE bookmarks (url TEXT)")
        self.assertIn("no store of a controller", await self.refused(StoreCorrupt))

    async def test_a_missing_file_whose_log_is_there_is_not_begun_anew(self) -> None:
        await self.filled()
        os.rename(self.path, self.path + "-wal")
        self.assertIn("is still there", await self.refused(StoreCorrupt))

    async def test_a_file_that_was_cut_off_is_refused_and_left(self) -> None:
        await self.filled()
        os.truncate(self.path, os.path.getsize(self.path) // 2)
        self.assertIn("corrupt", await self.refused(StoreCorrupt))

    async def test_the_log_of_a_corrupt_file_is_left_beside_it(self) -> None:
        await self.filled()
        writer = Writer(f"sqlite:{self.path}")
        writer.until(5)
        writer.kill()
        self.assertGreater(len(self.content()["controller.db-wal"]), 0)
        # What is in the log too is read from there: all but the first page, then.
        with open(self.path, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        await self.refused(StoreCorrupt)
        self.assertGreater(len(self.content()["controller.db-wal"]), 0)

    async def test_pages_of_nonsense_are_found_at_the_start_or_when_they_are_read(self) -> None:
        await self.filled()
        with open(self.path, "rb") as file:
            good = file.read()
        chance = random.Random(5)
        refused = 0
        for _ in range(12):
            page = chance.randrange(1, len(good) // 4096) * 4096
            bad = good[:page] + chance.randbytes(4096) + good[page + 4096 :]
            with open(self.path, "wb") as file:
                file.write(bad)
            store = self.makeStore()
            try:
                await store.start()
            except StoreCorrupt:
                refused += 1
                continue
            else:
                # A page that holds nothing but a piece of a document: found by what it is compressed with.
                await self.eachRead(store)
            finally:
                await store.close()
        self.assertGreater(refused, 2)

    async def eachRead(self, store: Any) -> None:
        """
        Each version is as it was, or said to be corrupt.
        """
        for number in range(1, 6):
            try:
                found = await store.version(number)
            except StoreCorrupt as error:
                self.assertIn(f"version {number}", str(error))
            else:
                self.assertEqual(found.document, f"{number} " * 20_000)

    async def test_a_corrupt_value_is_told_with_its_key_and_nothing_else_is_touched(self) -> None:
        await self.filled()
        values: list[Any] = ["{", "[]", '{"parent": null}', 5, b"\xff\xfe", '{"a":' * 5000]
        for value in values:
            self.execute("UPDATE version SET head = ? WHERE number = 3", value)
            self.execute("UPDATE node SET entry = ? WHERE name = 'node7'", value)
            store = await self.leading()
            for reading in (store.version(3), store.versions(5, whole=False), store.setPhase(3, "trial", "aborted")):
                error = await self.failing(StoreCorrupt, reading)
                self.assertIn(f"{self.path}: version 3", str(error))
            error = await self.failing(StoreCorrupt, store.node("node7"))
            self.assertIn("node node7", str(error))
            self.assertEqual((await store.version(4)).number, 4)
            self.assertEqual(len(await store.nodes()), 49)
            # It can be put right.
            await store.putNode(NodeEntry("node7", "new"))
            self.assertEqual((await store.node("node7")).serial, "new")
            await self.closed(store)

    async def test_a_corrupt_document_is_told_with_its_version(self) -> None:
        await self.filled()
        for value in (b"", b"x\x9cnonsense", b"\x00" * 100, 7, None):
            if value is None:
                self.execute("DELETE FROM body WHERE number = 2")
            else:
                self.execute("UPDATE body SET data = ? WHERE number = 2", value)
            store = await self.opened()
            error = await self.failing(StoreCorrupt, store.version(2))
            self.assertIn("version 2", str(error))
            self.assertEqual(len(await store.versions(5, whole=False)), 5)
            await self.closed(store)

    async def test_a_corrupt_revocation_is_not_passed_over(self) -> None:
        store = await self.opened()
        await store.putRevocations({"aa": 100.0, "bb": 100.0})
        self.execute("UPDATE revocation SET expires = 'soon' WHERE serial = 'aa'")
        error = await self.failing(StoreCorrupt, store.revocations(0.0))
        self.assertIn("revocation aa", str(error))

    async def test_a_corrupt_entry_of_the_log_says_so_in_its_place(self) -> None:
        await self.filled()
        self.execute("UPDATE audit SET entry = 'x' WHERE number = 49")
        store = await self.opened()
        found = await store.audits(3)
        self.assertEqual([each.action for each in found], ["apply", "unreadable", "apply"])
        self.assertIn("audit 49", found[1].text)

    async def test_what_is_committed_must_be_a_number(self) -> None:
        await self.filled()
        self.execute("UPDATE overlay SET current = 'x'")
        self.assertIn("current: which version is committed", await self.refused(StoreCorrupt))

    async def test_a_file_that_is_moved_away_is_written_to_no_more(self) -> None:
        store = await self.opened()
        os.rename(self.path, self.path + ".away")
        error = await self.failing(StoreUnavailable, store.putNode(NodeEntry("edge")))
        self.assertIn("was moved or removed", str(error))
        os.rename(self.path + ".away", self.path)
        await store.putNode(NodeEntry("edge"))
