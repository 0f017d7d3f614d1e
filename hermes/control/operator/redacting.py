"""
Overlay documents for those who may look and no more: without passwords, tokens and the like.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from hermes.config import ConfigError
from hermes.config.document import parseDocument

HIDDEN: Final = "(hidden)"

_SECRET: Final = re.compile(r"password|token|secret|credential|authorization|headers|(?:^|_)key$|apikey", re.IGNORECASE)
"""
The names of keys whose values are hidden. C{headers} of an upstream or a collector hold tokens. An extension may have
options of its own: rather one too many than one too few.
"""


def redacted(document: str) -> str:
    """
    The document as YAML, written anew: comments, which may hold anything, are gone too.

    @return: a sentence in place of what can't be read.
    """
    try:
        value = parseDocument(document, "overlay").value
    except (ConfigError, yaml.YAMLError, RecursionError, ValueError):
        return "# this document can't be read: log in to see it as it was written\n"
    return yaml.safe_dump(_without(value), sort_keys=False, allow_unicode=True, width=100)


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hidden(each) if _SECRET.search(str(key)) else _without(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without(each) for each in value]
    return value


def _hidden(value: Any) -> Any:
    """
    Everything below is hidden; that it is there is not.
    """
    if isinstance(value, dict):
        return {key: _hidden(each) for key, each in value.items()}
    return None if value is None else HIDDEN
