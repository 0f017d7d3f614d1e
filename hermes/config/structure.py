"""
Plain values to attrs classes, by cattrs, with every misfit collected and its place kept.

cattrs finds the hook for a type and walks containers; what a YAML author needs beyond that is here: no silent
coercion, one value where a list may stand, unknown keys with the nearest known one, and each validator's complaint at
its own key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin

import attrs
from cattrs import BaseValidationError, Converter
from cattrs.errors import AttributeValidationNote, ClassValidationError, IterableValidationError, IterableValidationNote

from hermes.config import types
from hermes.config.direct import EndpointConfig, EndpointKind, EndpointTLSConfig, TLSKind
from hermes.config.problems import KeyPath, Misfit, nearest
from hermes.config.retry import ResumeConfig, SpoolConfig
from hermes.config.routes import MatchConfig
from hermes.config.scalars import choiceOf, describe, flagOf, integerOf, numberOf, textOf
from hermes.config.schema import AssistConfig, ListenerConfig
from hermes.config.upstreams import UPSTREAM_TYPES, UpstreamConfig
from hermes.interfaces import IAssistantType, IListenerType
from hermes.matching import HostPattern, Match, PathPattern, TargetPattern, ValuePattern
from hermes.matching.match import parseFieldName, parseMethod
from hermes.values import Target

# Classes that stand for one value, not for a mapping of keys; and those of them that a mapping may stand for too.
_READ_VALUES = (TargetPattern, HostPattern, PathPattern, ValuePattern)
_READ_MAPPINGS = (PathPattern, ValuePattern)

_KEYS: dict[Any, Callable[[str], str]] = {
    types.FieldName: lambda key: parseFieldName(key).decode(),
    types.ParameterName: str,
    types.NDNName: lambda key: types.parseNDNName(textOf(key)),
}


def misfits(error: BaseException, path: KeyPath = ()) -> list[tuple[KeyPath, Misfit]]:
    """
    What is wrong, flat: the leaves of cattrs' tree of exceptions, each with its path.
    """
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            path = (*path, note.name)
        elif isinstance(note, IterableValidationNote):
            path = (*path, note.index)
    if isinstance(error, BaseValidationError):
        return [found for inner in error.exceptions for found in misfits(inner, path)]
    if not isinstance(error, Misfit):
        error = Misfit(str(error) or type(error).__name__)
    return [((*path, *error.below), error)]


def _noted(error: Exception, note: str) -> Exception:
    error.__notes__ = [*getattr(error, "__notes__", ()), note]
    return error


class Structurer:
    """
    Structures one file's values.

    @ivar converter: the cattrs converter; L{attrs <attrs.define>} classes of extensions may use any type it knows.
    """

    def __init__(
        self,
        directory: str,
        listenerTypes: Mapping[str, IListenerType],
        assistantTypes: Mapping[str, IAssistantType],
    ) -> None:
        """
        @param directory: what relative paths are relative to.
        @param listenerTypes: the known types of listeners.
        @param assistantTypes: those of assisting components.
        """
        self.directory = directory
        self.listenerTypes = listenerTypes
        self.assistantTypes = assistantTypes
        self.converter = Converter(detailed_validation=True)
        hooks: dict[Any, Callable[[Any], Any]] = {
            str: textOf,
            bool: flagOf,
            int: integerOf,
            float: numberOf,
            types.Name: lambda value: types.parseName(textOf(value)),
            types.Seconds: types.parseSeconds,
            types.Size: types.parseSize,
            types.RetryReason: types.parseRetryReason,
            types.WorkerCount: lambda value: types.parseWorkerCount(integerOf(value)),
            types.Transport: types.parseTransport,
            types.Secret: self._secret,
            types.FieldName: lambda value: parseFieldName(textOf(value)).decode(),
            types.Method: lambda value: parseMethod(textOf(value)).decode(),
            types.ExistingFile: self._existingFile,
            types.NewFile: self._newFile,
            types.SocketAddress: self._socketAddress,
            types.FaceLocator: self._faceLocator,
            types.NDNName: lambda value: types.parseNDNName(textOf(value)),
        }
        for kind, hook in hooks.items():
            self.converter.register_structure_hook(kind, _ignoringType(hook))
        # The last that applies is taken.
        functions: list[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]] = [
            (attrs.has, self.structureClass),
            (lambda kind: get_origin(kind) in (tuple, list), self._sequence),
            (lambda kind: get_origin(kind) is dict, self._mapping),
            (lambda kind: get_origin(kind) is Literal, choiceOf),
            (lambda kind: kind == types.Network, _ignoringType(lambda value: types.parseNetwork(textOf(value)))),
            (lambda kind: kind == types.IPAddress, _ignoringType(lambda value: types.parseAddress(textOf(value)))),
            (lambda kind: kind == types.Interface, _ignoringType(lambda value: types.parseInterface(textOf(value)))),
            (lambda kind: kind == EndpointKind, _ignoringType(self._endpoint)),
            (lambda kind: kind == TLSKind, _ignoringType(self._tls)),
            (lambda kind: kind == UpstreamConfig, _ignoringType(self._upstream)),
            (lambda kind: kind is TargetPattern, _ignoringType(lambda value: types.parseTargetPattern(textOf(value)))),
            (lambda kind: kind is HostPattern, _ignoringType(lambda value: HostPattern.fromText(textOf(value)))),
            (lambda kind: kind is PathPattern, _ignoringType(PathPattern.fromValue)),
            (lambda kind: kind is ValuePattern, _ignoringType(ValuePattern.fromValue)),
            (lambda kind: kind is Match, _ignoringType(self._match)),
            (lambda kind: kind is Target, _ignoringType(lambda value: types.parseTarget(textOf(value)))),
            (lambda kind: kind is ListenerConfig, _ignoringType(self._listener)),
            (lambda kind: kind is AssistConfig, _ignoringType(self._assist)),
            (lambda kind: kind in (ResumeConfig, SpoolConfig), self._orTrue),
        ]
        for applies, function in functions:
            self.converter.register_structure_hook_func(applies, function)

    def structureClass(self, value: object, cls: Any, ignore: tuple[str, ...] = ()) -> Any:
        """
        A mapping to an instance of an attrs class.

        @param ignore: keys that somebody else has read.
        """
        if not isinstance(value, dict):
            raise Misfit(f"expected a mapping, found {describe(value)}")
        fields = {attribute.name: attribute for attribute in attrs.fields(attrs.resolve_types(cls)) if attribute.init}
        errors: list[Exception] = []
        for key in value:
            if key not in fields and key not in ignore:
                errors.append(Misfit("unknown key", nearest(key, [*fields, *ignore]), (key,), atKey=True))
        arguments: dict[str, Any] = {}
        for name, attribute in fields.items():
            if name in value:
                try:
                    arguments[attribute.alias or name] = self._field(value[name], attribute)
                except Exception as error:
                    errors.append(_noted(error, _attributeNote(cls, name)))
            elif attribute.default is attrs.NOTHING:
                errors.append(Misfit("this key is missing", below=(name,)))
        if not errors:
            instance = _validated(cls, arguments, errors)
            if not errors:
                return instance
        raise ClassValidationError(f"while structuring {cls.__name__}", errors, cls)

    def _field(self, value: object, attribute: Any) -> Any:
        # An option that is called "bind" is an address in every type of listener, also where its author wrote str.
        if attribute.name == "bind" and attribute.type is str:
            return self._socketAddress(value)
        return self.converter.structure(value, attribute.type)

    def _sequence(self, value: object, kind: Any) -> Any:
        arguments = get_args(kind)
        element = arguments[0]
        if not isinstance(value, list):
            # One value stands for a list of it, save where a list of mappings is meant.
            if (
                value is None
                or (isinstance(value, dict) and element not in _READ_MAPPINGS)
                or (attrs.has(element) and element not in _READ_VALUES)
            ):
                raise Misfit(f"expected a list, found {describe(value)}")
            value = [value]
            single = True
        else:
            single = False
        if not value and element in (types.SocketAddress, types.FaceLocator, EndpointKind):
            raise Misfit("the list is empty: name at least one")
        result: list[Any] = []
        errors: list[Exception] = []
        for index, item in enumerate(value):
            try:
                result.append(self.converter.structure(item, element))
            except Exception as error:
                note = IterableValidationNote(f"at {index}", index, element)
                errors.append(error if single else _noted(error, note))
        if errors:
            raise IterableValidationError("while structuring a list", errors, kind)
        return get_origin(kind)(result)

    def _mapping(self, value: object, kind: Any) -> Any:
        if not isinstance(value, dict):
            raise Misfit(f"expected a mapping, found {describe(value)}")
        keyType, valueType = get_args(kind)
        parseKey = self._keyParser(keyType, valueType)
        result: dict[Any, Any] = {}
        errors: list[Exception] = []
        for key, item in value.items():
            try:
                name = parseKey(key)
            except ValueError as error:
                errors.append(Misfit(str(error), getattr(error, "suggestion", None), (key,), atKey=True))
                continue
            try:
                result[name] = self.converter.structure(item, valueType)
            except Exception as error:
                errors.append(_noted(error, IterableValidationNote(f"at {key!r}", key, valueType)))
        if errors:
            raise IterableValidationError("while structuring a mapping", errors, kind)
        return result

    def _keyParser(self, keyType: Any, valueType: Any) -> Callable[[Any], Any]:
        """
        What reads the keys of a mapping.

        @return: raises C{ValueError}.
        """
        return _KEYS.get(keyType, types.parseName)

    def _typed(self, value: object, known: Mapping[str, Any], what: str) -> tuple[str, Any]:
        if not isinstance(value, dict):
            raise Misfit(f"expected a mapping, found {describe(value)}")
        if "type" not in value:
            raise Misfit(f"this key is missing: {what} is one of {_list(known)}", below=("type",))
        name = value["type"]
        if not isinstance(name, str) or name not in known:
            suggestion = nearest(name, known) if isinstance(name, str) else None
            raise Misfit(f"{describe(name)} is not {what}: known are {_list(known)}", suggestion, ("type",))
        return name, known[name]

    def _upstream(self, value: object) -> Any:
        _, cls = self._typed(value, UPSTREAM_TYPES, "a type of upstream")
        return self.structureClass(value, cls, ignore=("type",))

    def _endpoint(self, value: object) -> EndpointKind:
        if isinstance(value, dict):
            endpoint: EndpointConfig = self.structureClass(value, EndpointConfig)
            return endpoint
        return types.SocketAddress(self._socketAddress(value))

    def _tls(self, value: object) -> TLSKind:
        if isinstance(value, dict):
            tls: EndpointTLSConfig = self.structureClass(value, EndpointTLSConfig)
            return tls
        if not isinstance(value, bool):
            raise Misfit(f"expected true, false or a mapping, found {describe(value)}")
        return value

    def _listener(self, value: object) -> ListenerConfig:
        name, listenerType = self._typed(value, self.listenerTypes, "a type of listener")
        return ListenerConfig(name, self.structureClass(value, listenerType.options, ignore=("type",)))

    def _assist(self, value: object) -> AssistConfig:
        name, assistantType = self._typed(value, self.assistantTypes, "a type of assisting component")
        return AssistConfig(name, self.structureClass(value, assistantType.options, ignore=("type",)))

    def _match(self, value: object) -> Match:
        # An option of an extension may be one: it reads as a route's does.
        config: MatchConfig = self.structureClass(value, MatchConfig)
        return config.match()

    def _orTrue(self, value: object, kind: Any) -> Any:
        if isinstance(value, bool):
            return kind() if value else None
        return self.structureClass(value, kind)

    def _path(self, value: object) -> str:
        text = textOf(value)
        if not text or "\0" in text:
            raise Misfit("expected a path")
        return os.path.normpath(os.path.join(self.directory, os.path.expanduser(text)))

    def _existingFile(self, value: object) -> str:
        path = self._path(value)
        if not os.path.exists(path):
            raise Misfit(f"there is no file {path}")
        if os.path.isdir(path):
            raise Misfit(f"{path} is a directory")
        if not os.access(path, os.R_OK):
            raise Misfit(f"{path} can't be read: permission denied")
        return path

    def _newFile(self, value: object) -> str:
        if value == "-":
            return "-"
        path = self._path(value)
        if not os.path.isdir(os.path.dirname(path)):
            raise Misfit(f"there is no directory {os.path.dirname(path)}")
        if os.path.isdir(path):
            raise Misfit(f"{path} is a directory")
        return path

    def _secret(self, value: object) -> str:
        if not isinstance(value, dict):
            if not isinstance(value, str):
                raise Misfit("expected text (a number needs quotes), or {file: PATH}")
            if not value:
                raise Misfit("a secret can't be empty")
            return value
        if set(value) != {"file"}:
            raise Misfit("expected text, or {file: PATH}")
        try:
            path = self._existingFile(value["file"])
            with open(path, encoding="utf-8") as file:
                secret = file.read().rstrip("\r\n")
        except (Misfit, OSError, UnicodeDecodeError) as error:
            raise Misfit(str(error), below=("file",)) from None
        if not secret:
            raise Misfit(f"{path} is empty", below=("file",))
        return secret

    def _socketAddress(self, value: object) -> str:
        text = textOf(value)
        # An abstract name (unix(7)) is no path.
        if text.startswith("unix:") and text[5:6] not in ("", "@"):
            text = "unix:" + self._path(text[5:])
        return types.parseSocketAddress(text)

    def _faceLocator(self, value: object) -> str:
        text = textOf(value)
        return self._socketAddress(text) if text.startswith("unix:") else types.parseFaceLocator(text)


def _ignoringType(hook: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, kind: hook(value)


def _attributeNote(cls: type, name: str) -> AttributeValidationNote:
    return AttributeValidationNote(f"at {cls.__name__}.{name}", name, cls)


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names))


def _validated(cls: Any, arguments: dict[str, Any], errors: list[Exception]) -> Any:
    # attrs stops at the first validator that complains and does not say whose it was, so they are run one by one.
    wereDisabled = attrs.validators.get_disabled()
    attrs.validators.set_disabled(True)
    try:
        instance = cls(**arguments)
    except (ValueError, TypeError) as error:
        errors.append(error)
        return None
    finally:
        attrs.validators.set_disabled(wereDisabled)
    for attribute in attrs.fields(cls):
        if attribute.validator is not None:
            try:
                attribute.validator(instance, attribute, getattr(instance, attribute.name))
            except (ValueError, TypeError) as error:
                # The validators that attrs brings put a sentence first and their parts behind it.
                told = error if isinstance(error, Misfit) else Misfit(str(error.args[0] if error.args else error))
                errors.append(_noted(told, _attributeNote(cls, attribute.name)))
    return instance
