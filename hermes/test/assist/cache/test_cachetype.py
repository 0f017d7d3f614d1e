"""
Tests for L{hermes.assist.cache.cachetype}, the options and the metrics.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from hermes.assist.cache import Cache, CacheOptions
from hermes.assist.cache.cachetype import CacheType
from hermes.assist.cache.disk import DiskStore
from hermes.assist.cache.memory import MemoryStore
from hermes.commons import Commons
from hermes.config import ConfigError, loadNodeText
from hermes.errors import HermesError
from hermes.interfaces import IAssistantType
from hermes.listeners import assistantTypes


def context(registry: CollectorRegistry | None = None) -> Any:
    """
    What a node gives its assisting components.
    """
    return SimpleNamespace(
        reactor=reactor,
        nodeName="edge",
        authenticator=None,
        registry=registry or CollectorRegistry(),
        commons=Commons(),
    )


class OptionTests(SynchronousTestCase):
    """
    What can be configured.
    """

    def load(self, text: str) -> CacheOptions:
        """
        The options of a cache.
        """
        os.makedirs("caches", exist_ok=True)
        whole = f"node: edge\nassist:\n  pages: {{type: cache{text}}}\n"
        options = loadNodeText(whole, "edge.yaml", os.getcwd()).assist["pages"].options
        assert isinstance(options, CacheOptions)
        return options

    def test_valuesHaveUnits(self) -> None:
        options = self.load(", size: 1GiB, largest: 64KiB, staleIfError: 1h, by: user, purge: [alice, bob]")
        self.assertEqual((options.size, options.largest, options.staleIfError), (1 << 30, 1 << 16, 3600.0))
        self.assertEqual((options.by, options.purge), (("user",), ("alice", "bob")))

    def test_aStoreOnDiskHasAPathRelativeToTheFile(self) -> None:
        options = self.load(", store: disk, path: caches/pages.sqlite")
        self.assertEqual(options.path, os.path.join(os.getcwd(), "caches", "pages.sqlite"))

    def test_whatIsWrongIsToldAtItsKey(self) -> None:
        for text, where, told in (
            (", store: disk", "path", "needs a 'path'"),
            (", store: disk, path: '-'", "path", "needs a 'path'"),
            (", path: caches/x", "path", "has no 'path'"),
            (", largest: 1GiB", "largest", "larger than 'size'"),
            (", heuristic: 2", "heuristic", "must be <= 1"),
            (", by: node", "by", "expected one of user, route"),
            (", cacheStatus: loud", "cacheStatus", "expected one of none, short, full"),
        ):
            error = self.assertRaises(ConfigError, self.load, text)
            self.assertIn(f"assist.pages.{where}", str(error))
            self.assertIn(told, str(error))


class TypeTests(TestCase):
    """
    Caches are made.
    """

    def test_itIsAPlugin(self) -> None:
        self.assertTrue(verifyObject(IAssistantType, CacheType()))
        self.assertIsInstance(assistantTypes()["cache"], CacheType)

    async def test_itMakesEitherStore(self) -> None:
        options = CacheOptions(store="disk", path=self.mktemp())
        for given, expected in ((CacheOptions(), MemoryStore), (options, DiskStore)):
            made = CacheType().assistant("pages", given, context())
            assert isinstance(made, Cache)
            self.assertIsInstance(made.store, expected)
            await made.close()

    def test_aPlaceThatCannotBeUsedIsToldTheOperator(self) -> None:
        directory = self.mktemp()
        os.mkdir(directory)
        for path, told in (
            (directory, "is a directory"),
            (os.path.join(directory, "not", "there"), "can't be written to"),
        ):
            options = CacheOptions(store="disk", path=path)  # type: ignore[arg-type] # As the loader would.
            error = self.assertRaises(HermesError, CacheType().assistant, "pages", options, context())
            self.assertIn(told, str(error))


class MetricTests(TestCase):
    """
    What is counted.
    """

    async def test_whatWasCountedStaysCountedOverReloads(self) -> None:
        registry = CollectorRegistry()
        labels = {"cache": "pages", "result": "hit"}
        for number in (1, 2):
            cache: Any = CacheType().assistant("pages", CacheOptions(), context(registry))
            cache.counts["hit"] += 5
            cache.store.evicted += 1
            self.assertEqual(registry.get_sample_value("hermes_cache_requests_total", labels), 5 * number)
            self.assertEqual(registry.get_sample_value("hermes_cache_objects", {"cache": "pages"}), 0)
            await cache.close()
            self.assertEqual(registry.get_sample_value("hermes_cache_requests_total", labels), 5 * number)
            self.assertEqual(registry.get_sample_value("hermes_cache_evictions_total", {"cache": "pages"}), number)
            self.assertIsNone(registry.get_sample_value("hermes_cache_objects", {"cache": "pages"}))
