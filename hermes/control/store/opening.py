"""
A store from what an operator writes: C{sqlite:PATH}, or C{etcd://HOST:PORT,HOST:PORT/PREFIX?OPTION=VALUE}.
"""

from __future__ import annotations

import os
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from hermes.control.store.errors import StoreError
from hermes.control.store.etcd.options import EtcdOptions
from hermes.control.store.etcd.store import EtcdStore
from hermes.control.store.sqlite import SQLiteStore
from hermes.interfaces.store import IStore

PORT: Final = 2379
"""
etcd's, where none is given.
"""

FILES: Final = ("password", "trust", "certificate", "key")
"""
Options of an etcd that are paths of files.
"""

FORMS: Final = "sqlite:PATH, etcd://HOST:PORT,.../PREFIX or etcds://HOST:PORT,.../PREFIX (with TLS)"


class StoreMistake(StoreError):
    """
    What was written names no store.
    """


def makeStore(reactor: Any, where: str, directory: str = ".") -> IStore:
    """
    The store that is named; not started.

    @param where: L{FORMS}. An etcd may have a user, C{etcd://USER@HOST:PORT}, and options: C{password}, C{trust},
        C{certificate}, C{key} (paths), C{lease} (seconds).
    @param directory: what paths are relative to.
    @raise StoreMistake: it names none.
    """
    kind, separator, rest = where.partition(":")
    if separator and kind == "sqlite":
        if not rest:
            raise StoreMistake("sqlite: needs the path of a file")
        store: IStore = SQLiteStore(reactor, os.path.join(directory, rest))
        return store
    if kind in ("etcd", "etcds") and rest.startswith("//"):
        found: IStore = EtcdStore(reactor, etcdOptions(kind, rest[2:], directory))
        return found
    raise StoreMistake(f"{where!r} is no store; there are {FORMS}")


def etcdOptions(kind: str, rest: str, directory: str) -> EtcdOptions:
    """
    How an etcd is reached.

    @param kind: C{etcd} or C{etcds}.
    @param rest: what comes after the two slashes.
    @raise StoreMistake: it is wrong.
    """
    address, _, query = rest.partition("?")
    hosts, _, prefix = address.partition("/")
    user, at, hosts = hosts.rpartition("@")
    if ":" in user:
        raise StoreMistake("a password is not written here, where others see it, but in a file: ?password=PATH")
    values: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in values:
            raise StoreMistake(f"{name} is given twice")
        if name in FILES:
            values[name] = os.path.abspath(os.path.join(directory, value))
        elif name == "lease":
            values[name] = _seconds(value)
        else:
            raise StoreMistake(f"{name!r} is no option of an etcd; there are {', '.join(FILES)}, lease")
    if bool(user) != ("password" in values):
        raise StoreMistake("a user and a password belong together: etcd://USER@HOST:PORT/?password=PATH")
    if "key" in values and "certificate" not in values:
        raise StoreMistake("a key needs a certificate")
    if kind == "etcd" and any(name in values for name in ("trust", "certificate", "key")):
        raise StoreMistake("certificates are for TLS: etcds://")
    scheme = "https" if kind == "etcds" else "http"
    return EtcdOptions(
        endpoints=tuple(f"{scheme}://{_hostPort(each)}" for each in hosts.split(",")),
        prefix=f"/{unquote(prefix) or 'hermes'}/",
        user=unquote(user) if at else "",
        **values,
    )


def _seconds(text: str) -> int:
    try:
        found = int(text)
    except ValueError:
        found = 0
    if not 2 <= found <= 3600:
        raise StoreMistake("lease is a number of seconds, from 2 to 3600")
    return found


def _hostPort(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not separator or port.endswith("]"):
        host, port = text, str(PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or (":" in host and not host.startswith("[")):
        raise StoreMistake(f"{text!r} is no HOST:PORT")
    return f"{host}:{port}"
