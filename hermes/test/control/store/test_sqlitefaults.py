"""
What befalls the controller of an SQLite store: a full disk, kill -9.
"""

from __future__ import annotations

import errno
import os
import random
import subprocess
from tempfile import mkdtemp

from hermes.control.store.errors import StoreFull
from hermes.test.control.store.filecase import FileCase
from hermes.test.control.store.killing import KillingContract, Writer
from hermes.test.control.store.user import record


class FullDiskTests(FileCase):
    """
    A disk with no room.
    """

    if os.geteuid():
        skip = "a small file system can be mounted by root only"

    def setUp(self) -> None:
        super().setUp()
        self.mount = mkdtemp()
        self.addCleanup(os.rmdir, self.mount)
        try:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.mount], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("this machine mounts no tmpfs")
        self.addCleanup(subprocess.run, ["umount", self.mount], check=True)
        self.path = os.path.join(self.mount, "controller.db")

    async def test_a_write_is_refused_and_says_so_and_reads_go_on(self) -> None:
        store = await self.leading()
        number = await store.appendVersion(record("first"))
        self.fillUp()
        large = "".join(random.Random(3).choices("abcdefghij", k=2_000_000))
        error = await self.failing(StoreFull, store.appendVersion(record(large)))
        self.assertIn("the disk is full", str(error))
        self.assertEqual([each.number for each in await store.versions(5)], [number])
        self.assertEqual((await store.version(number)).document, "first")
        os.unlink(os.path.join(self.mount, "rest"))
        self.assertTrue(await store.setPhase(number, "preparing", "committed"))
        self.assertEqual(await store.current(), number)
        self.assertEqual(await store.appendVersion(record(parent=number)), number + 1)

    async def test_no_store_is_made_where_there_is_no_room(self) -> None:
        self.fillUp()
        store = self.makeStore()
        await self.failing(StoreFull, store.start())
        await store.close()
        self.assertFalse(os.path.exists(self.path))
        os.unlink(os.path.join(self.mount, "rest"))
        await self.opened()

    def fillUp(self) -> None:
        """
        Take all the room.
        """
        with open(os.path.join(self.mount, "rest"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError as error:
                self.assertEqual(error.errno, errno.ENOSPC)


class KilledTests(FileCase, KillingContract):
    """
    Controllers that are killed while they write.
    """

    async def test_a_killed_controller_leaves_old_or_new(self) -> None:
        before = 0
        chance = random.Random(11)
        for _ in range(5):
            writer = Writer(f"sqlite:{self.path}")
            writer.until(chance.randrange(2, 12))
            writer.kill()
            store = await self.opened()
            before = await self.check(store, writer, before)
            await self.closed(store)
