"""
Asking a controller: for the operator's commands.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from argparse import ArgumentParser, Namespace, _ArgumentGroup
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from hermes.errors import HermesError

DEFAULT_SOCKET: Final = "/run/hermes/controller.sock"
ADDRESS: Final = "HERMES_CONTROLLER"
TOKEN: Final = "HERMES_TOKEN"


BROKEN_OFF: Final = "the controller broke off. Nodes decide by themselves; what came of it, hermes history tells"


class ControllerError(HermesError):
    """
    The controller could not be asked, or refused. The text is for the operator.

    @ivar status: the HTTP status of a refusal; 0 where there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class WrongCall(ControllerError):
    """
    The command was called wrongly.
    """


def controllerArguments(parser: ArgumentParser | _ArgumentGroup) -> None:
    """
    Where the controller is.
    """
    parser.add_argument(
        "--controller",
        metavar="ADDRESS",
        help=f"unix:PATH or https://HOST:PORT (default: ${ADDRESS}, or unix:{DEFAULT_SOCKET})",
    )
    parser.add_argument(
        "--token-file", metavar="FILE", help=f"where the operator's token is, for https (default: ${TOKEN} itself)"
    )
    parser.add_argument("--trust", metavar="FILE", help="the authorities that an https controller is checked against")


def controllerThere(options: Namespace) -> bool:
    """
    Whether a controller is named, or one runs on this machine: for commands that nodes answer too.
    """
    if options.controller or options.token_file or options.trust or os.environ.get(ADDRESS):
        return True
    try:
        return stat.S_ISSOCK(os.stat(DEFAULT_SOCKET).st_mode)
    except OSError:
        return False


def controllerOf(options: Namespace, timeout: float = 30) -> Controller:
    """
    The controller that the arguments name.

    @raise WrongCall: where they are wrong.
    """
    address = options.controller or os.environ.get(ADDRESS) or f"unix:{DEFAULT_SOCKET}"
    token = os.environ.get(TOKEN)
    if options.token_file:
        try:
            token = Path(options.token_file).read_text().strip()
        except OSError as error:
            raise WrongCall(f"{options.token_file}: {error.strerror}") from None
    return Controller(address, token, options.trust, timeout)


class _Unix(HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("controller", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Controller:
    """
    A controller, from outside.

    @ivar address: where it is.
    """

    def __init__(self, address: str, token: str | None = None, trust: str | None = None, timeout: float = 30) -> None:
        self.address = address
        self._token = token
        self._timeout = timeout
        self._connect: Callable[[], HTTPConnection]
        if address.startswith("unix:"):
            self._connect = lambda: _Unix(address.removeprefix("unix:"), timeout)
            return
        parts = urlsplit(address)
        try:
            host, port = parts.hostname, parts.port or 443
        except ValueError:
            host, port = None, 0
        if parts.scheme != "https" or not host or parts.path not in ("", "/"):
            raise WrongCall(f"{address!r} is no controller: write unix:PATH or https://HOST:PORT")
        import ssl

        try:
            context = ssl.create_default_context(cafile=trust)
        except OSError as error:
            raise WrongCall(f"{trust}: {error}") from None
        self._connect = lambda: HTTPSConnection(host, port, timeout=timeout, context=context)

    def get(self, path: str, **parameters: Any) -> Any:
        """
        @raise ControllerError: where it can't be had.
        """
        return self._call("GET", path, parameters)

    def post(self, path: str, body: str = "", wait: float = 0, **parameters: Any) -> Any:
        """
        The same for what is sent.

        @param wait: seconds that what is asked takes by itself.
        """
        return self._call("POST", path, parameters, body, wait)

    def follow(self, path: str, body: str = "", **parameters: Any) -> Iterator[Mapping[str, Any]]:
        """
        Make a change, and hear how it goes on: a mapping with one key each, C{progress}, then C{outcome}.
        """
        connection, response = self._open("POST", path, parameters, body, "application/x-ndjson", None)
        try:
            for line in response:
                found = json.loads(line)
                if "error" in found:
                    raise ControllerError(found["error"], found.get("status", 400))
                yield found
                if "outcome" in found:
                    return
        except (OSError, HTTPException, ValueError) as error:
            raise ControllerError(f"{self.address}: {BROKEN_OFF} ({error})") from error
        else:
            raise ControllerError(f"{self.address}: {BROKEN_OFF}")
        finally:
            connection.close()

    def _call(self, method: str, path: str, parameters: Mapping[str, Any], body: str = "", wait: float = 0) -> Any:
        timeout = self._timeout + wait
        connection, response = self._open(method, path, parameters, body, "application/json", timeout)
        try:
            return json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            raise ControllerError(f"{self.address}: the controller does not answer as one: {error}") from error
        finally:
            connection.close()

    def _open(
        self, method: str, path: str, parameters: Mapping[str, Any], body: str, accept: str, timeout: float | None
    ) -> tuple[HTTPConnection, HTTPResponse]:
        given = {name: value for name, value in parameters.items() if value is not None}
        url = "/api/v1/" + quote(path) + (f"?{urlencode(given)}" if given else "")
        headers = {"accept": accept}
        if body:
            headers["content-type"] = "application/yaml"
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        connection = self._connect()
        try:
            connection.request(method, url, body.encode() if method == "POST" else None, headers)
            if connection.sock is not None:
                # A change takes as long as it takes.
                connection.sock.settimeout(timeout)
            response = connection.getresponse()
        except (OSError, HTTPException) as error:
            connection.close()
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ControllerError(f"no controller answers at {self.address}: {reason}") from error
        if response.status != 200:
            try:
                said = json.loads(response.read())["error"]
            except (OSError, HTTPException, ValueError, KeyError, TypeError):
                said = f"it answered {response.status}"
            connection.close()
            raise ControllerError(str(said), response.status)
        return connection, response
