"""
A node's configuration from a file or from text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from cattrs import BaseValidationError

from hermes.config.document import parseDocument
from hermes.config.problems import ConfigError, Misfit, Problem
from hermes.config.references import danglingReferences, endsOf, missingParts
from hermes.config.schema import NodeConfig
from hermes.config.structure import Structurer, misfits
from hermes.interfaces import IAssistantType, IListenerType
from hermes.listeners import assistantTypes as installedAssistantTypes
from hermes.listeners import listenerTypes as installedListenerTypes


def loadNode(
    path: str,
    listenerTypes: Mapping[str, IListenerType] | None = None,
    assistantTypes: Mapping[str, IAssistantType] | None = None,
) -> NodeConfig:
    """
    Load the configuration of a node.

    @param path: the file; paths in it are relative to its directory.
    @param listenerTypes: the known types of listeners, by name; those of the installed plugins where not given.
    @param assistantTypes: the same for assisting components.
    @raise ConfigError: with everything that is wrong with it.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise ConfigError([Problem(path, None, "", (error.strerror or str(error)).lower())]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(path, None, "", f"not UTF-8 text: byte {error.start} is wrong")]) from None
    return loadNodeText(text, path, os.path.dirname(os.path.abspath(path)), listenerTypes, assistantTypes)


def loadNodeText(
    text: str,
    file: str,
    directory: str,
    listenerTypes: Mapping[str, IListenerType] | None = None,
    assistantTypes: Mapping[str, IAssistantType] | None = None,
) -> NodeConfig:
    """
    The same from text that is already there.

    @param file: the name to give in messages.
    @param directory: what paths in it are relative to.
    @raise ConfigError: with everything that is wrong with it.
    """
    document = parseDocument(text, file)
    if listenerTypes is None:
        listenerTypes = installedListenerTypes()
    if assistantTypes is None:
        assistantTypes = installedAssistantTypes()
    problems = list(document.problems)
    ending = [name for name, each in listenerTypes.items() if endsOf(each)]
    found = list(danglingReferences(document.value, ending))
    config: NodeConfig | None = None
    try:
        config = Structurer(directory, listenerTypes, assistantTypes).converter.structure(document.value, NodeConfig)
        found += missingParts(config, listenerTypes)
    except (BaseValidationError, Misfit) as error:
        found += misfits(error)
    for path, misfit in found:
        problems.append(document.problem(path, misfit.message, misfit.suggestion, misfit.atKey))
    if problems or config is None:
        raise ConfigError(problems)
    return config
