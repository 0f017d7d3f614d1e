"""
Tests for L{hermes.config.reference}.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from hermes.config import routes, schema, upstreams
from hermes.config.reference import keyDocumentation, reference
from hermes.listeners import assistantTypes, listenerTypes


class ReferenceTests(SynchronousTestCase):
    """
    The documentation of the configuration.
    """

    def test_everyKeyIsDocumented(self) -> None:
        classes: list[Any] = [
            value
            for module in (schema, routes, upstreams)
            for value in vars(module).values()
            if attrs.has(value) and value.__module__ == module.__name__
        ]
        classes += [listenerType.options for listenerType in listenerTypes().values()]
        classes += [assistantType.options for assistantType in assistantTypes().values()]
        undocumented = [
            f"{cls.__name__}.{attribute.name}"
            for cls in classes
            for attribute in attrs.fields(cls)
            if attribute.init and not keyDocumentation(cls).get(attribute.name)
        ]
        self.assertEqual(undocumented, [])

    def test_theReferenceNamesKeysTypesAndDefaults(self) -> None:
        lines = reference(listenerTypes(), assistantTypes()).splitlines()
        self.assertIn("node: name (required)", lines)
        self.assertIn("workers: number (default: 1)", lines)
        self.assertIn("    endpoints: list of HOST:PORT or unix:PATH (required)", lines)
        self.assertIn("    target: list of target pattern", lines)
