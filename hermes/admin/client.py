"""
Asking the admin listener of a running node: for the operator's commands.
"""

from __future__ import annotations

import json
import socket
from argparse import ArgumentParser, Namespace
from http.client import HTTPConnection, HTTPException
from typing import Any

from rich.console import Console

DEFAULT = "127.0.0.1:9901"


class AdminConnection(HTTPConnection):
    """
    An HTTP connection to C{HOST:PORT} or C{unix:PATH}.
    """

    def __init__(self, address: str) -> None:
        super().__init__("admin", timeout=10)
        self._address = address

    def connect(self) -> None:
        if self._address.startswith("unix:"):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            path = self._address[5:]
            self.sock.connect("\0" + path[1:] if path.startswith("@") else path)
        else:
            host, _, port = self._address.rpartition(":")
            self.sock = socket.create_connection((host.strip("[]"), int(port)), self.timeout)


def ask(address: str, page: str) -> Any:
    """
    GET a JSON page of an admin listener.

    @raise OSError: where it can't be reached; L{ValueError} where it does not answer as one.
    """
    connection = AdminConnection(address)
    try:
        connection.request("GET", f"/{page}")
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise ValueError(f"it answered {response.status}")
        return json.loads(body)
    except HTTPException as error:
        raise ValueError(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def adminArguments(parser: ArgumentParser) -> None:
    """
    Where the node is.
    """
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--admin", metavar="ADDRESS", help=f"HOST:PORT or unix:PATH (default {DEFAULT})")
    where.add_argument("--config", "-c", metavar="FILE", help="the node's YAML file, which names its admin listener")


def adminAddress(options: Namespace, console: Console) -> str | int:
    """
    The address of the admin listener that the arguments name; or the exit status, where they name none, and why was
    printed.
    """
    from hermes.config import ConfigError, loadNode

    if not options.config:
        return str(options.admin or DEFAULT)
    try:
        config = loadNode(options.config)
    except ConfigError as error:
        print(error, file=console.file)
        return 2
    if config.admin is None:
        print(f"{options.config}: no admin listener. Add, for example, admin: {{bind: {DEFAULT}}}", file=console.file)
        return 2
    return config.admin.bind
