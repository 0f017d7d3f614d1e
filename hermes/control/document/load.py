"""
An overlay document from text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Any, get_args

from cattrs import BaseValidationError

from hermes.config import types
from hermes.config.document import parseDocument
from hermes.config.problems import ConfigError, KeyPath, Misfit
from hermes.config.structure import Structurer, misfits
from hermes.control.document.references import dangling
from hermes.control.document.schema import OverlayConfig, OverlayDocument, ServiceEntry
from hermes.control.document.subjects import Destination, Subject
from hermes.interfaces import IAssistantType, IListenerType
from hermes.listeners import assistantTypes as installedAssistantTypes
from hermes.listeners import listenerTypes as installedListenerTypes


class RemoteStructurer(Structurer):
    """
    Structures what another machine will load: files are there, and not here.
    """

    def _existingFile(self, value: object) -> str:
        return self._path(value)

    def _newFile(self, value: object) -> str:
        return "-" if value == "-" else self._path(value)

    def _secret(self, value: object) -> str:
        if isinstance(value, dict):
            if set(value) != {"file"}:
                raise Misfit("expected text, or {file: PATH}")
            return self._path(value["file"])
        return super()._secret(value)


class OverlayStructurer(RemoteStructurer):
    """
    The same, with what only an overlay document has.
    """

    def __init__(
        self, listenerTypes: Mapping[str, IListenerType], assistantTypes: Mapping[str, IAssistantType]
    ) -> None:
        super().__init__("/", listenerTypes, assistantTypes)
        self.converter.register_structure_hook_func(
            lambda kind: kind is Subject, lambda value, _: Subject.fromText(_words(value))
        )
        self.converter.register_structure_hook_func(
            lambda kind: kind is Destination, lambda value, _: Destination.fromText(_words(value))
        )

    def _sequence(self, value: object, kind: Any) -> Any:
        # One word stands for a list of it.
        if get_args(kind)[0] in (Subject, Destination) and isinstance(value, str):
            value = [value]
        return super()._sequence(value, kind)

    def _keyParser(self, keyType: Any, valueType: Any) -> Callable[[Any], Any]:
        if keyType is str and valueType is ServiceEntry:
            return _serviceName
        if keyType == types.Network:
            return types.parseNetwork
        return super()._keyParser(keyType, valueType)


def _words(value: object) -> str:
    if not isinstance(value, str):
        raise Misfit("expected text")
    return value


def _serviceName(text: str) -> str:
    name = types.parseName(text)
    try:
        ip_network(name)
    except ValueError:
        return name
    raise Misfit(f"{text!r} is an address: services have names")


def loadOverlay(
    text: str,
    file: str = "overlay",
    listenerTypes: Mapping[str, IListenerType] | None = None,
    assistantTypes: Mapping[str, IAssistantType] | None = None,
) -> OverlayDocument:
    """
    Load an overlay document.

    @param file: the name to give in messages.
    @raise ConfigError: with everything that is wrong with it.
    """
    document = parseDocument(text, file)
    structurer = OverlayStructurer(
        installedListenerTypes() if listenerTypes is None else listenerTypes,
        installedAssistantTypes() if assistantTypes is None else assistantTypes,
    )
    problems = list(document.problems)
    found: list[tuple[KeyPath, Misfit]] = []
    config: OverlayConfig | None = None
    try:
        config = structurer.converter.structure(document.value, OverlayConfig)
        found += dangling(config)
    except (BaseValidationError, Misfit) as error:
        found += misfits(error)
    problems += [document.problem(path, each.message, each.suggestion, each.atKey) for path, each in found]
    if problems or config is None:
        raise ConfigError(problems)
    assert isinstance(document.value, dict)
    return OverlayDocument(text, config, document.value)
