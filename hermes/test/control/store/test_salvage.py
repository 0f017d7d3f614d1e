"""
What can still be read of a corrupt file.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from hermes.control.store.errors import StoreCorrupt, StoreError
from hermes.control.store.salvage import TABLES, main, salvage
from hermes.control.values import NodeEntry
from hermes.test.control.store.filecase import FileCase
from hermes.test.control.store.user import record


class SalvageTests(FileCase):
    """
    A new file with what is left.
    """

    async def saved(self) -> Any:
        """
        The store that it is now.
        """
        self.path = self.new
        return await self.leading()

    def setUp(self) -> None:
        super().setUp()
        self.new = os.path.join(self.directory, "saved.db")

    async def test_of_a_file_that_is_whole_it_is_all(self) -> None:
        await self.filled()
        before = self.content()
        found = salvage(self.path, self.new)
        self.assertEqual(set(found), set(TABLES))
        self.assertTrue(all(each.whole for each in found.values()))
        self.assertEqual((found["version"].rows, found["node"].rows, found["secret"].rows), (5, 50, 1))
        self.assertEqual(self.content(), before)
        store = await self.saved()
        self.assertEqual(await store.current(), 5)
        self.assertEqual((await store.version(3)).document, "3 " * 20_000)
        self.assertEqual(len(await store.nodes()), 50)
        self.assertEqual(await store.secret("authority"), b"key")
        self.assertEqual(await store.appendVersion(record(parent=5)), 6)
        await store.putNode(NodeEntry("node7", "new"))
        self.assertEqual(len(await store.nodes()), 50)

    async def test_of_a_file_with_a_page_of_nonsense_it_is_the_rest(self) -> None:
        await self.filled()
        with open(self.path, "rb") as file:
            good = file.read()
        chance = random.Random(3)
        some = 0
        for number in range(1, len(good) // 4096):
            with open(self.path, "wb") as file:
                file.write(good[: number * 4096] + chance.randbytes(4096) + good[(number + 1) * 4096 :])
            new = f"{self.new}.{number}"
            try:
                found = salvage(self.path, new)
            except StoreError:
                continue
            some += not all(each.whole for each in found.values())
            self.new, old = new, self.path
            store = await self.saved()
            self.assertEqual(len(await store.nodes()), found["node"].rows)
            # A page belongs to one table.
            self.assertLessEqual(sum(not each.whole for each in found.values()), 1)
            await self.closed(store)
            self.path = old
        self.assertGreater(some, 3)

    async def test_what_is_no_database_is_told(self) -> None:
        os.makedirs(os.path.dirname(self.path))
        with open(self.path, "wb") as file:
            file.write(b"overlay: example\n" * 1000)
        self.assertRaises(StoreCorrupt, salvage, self.path, self.new)
        self.assertFalse(os.path.exists(self.new))

    async def test_nothing_is_written_over(self) -> None:
        await self.filled()
        with open(self.new, "wb"):
            pass
        self.assertRaises(StoreError, salvage, self.path, self.new)
        self.assertEqual(os.path.getsize(self.new), 0)
        self.assertRaises(StoreError, salvage, self.path + ".other", self.new + ".other")

    async def test_the_command_that_the_message_names(self) -> None:
        await self.filled()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "hermes.control.store.salvage", self.path, self.new]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("version           5\n", done.stdout)
        with redirect_stderr(StringIO()) as said:
            self.assertEqual(main([]), 2)
            self.assertEqual(main([self.path, self.new]), 2)
        self.assertIn("is there already", said.getvalue())
