"""
C{twistd hermes-controller}.
"""

from __future__ import annotations

import os
import socket
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.python.usage import Options as _Options
from twisted.python.usage import UsageError

from hermes.control.operator.client import DEFAULT_SOCKET
from hermes.control.service import ControllerService, Places
from hermes.control.store.errors import StoreError
from hermes.control.store.opening import FORMS, makeStore
from hermes.net.descriptorlimit import raiseDescriptorLimit
from hermes.net.dispatch import installLeanDispatch
from hermes.values import Target

SYSTEM = "/var/lib/hermes/controller"
"""
The directory of a controller that root runs.
"""


def defaultDirectory() -> str:
    """
    Where a controller keeps what it must not lose, where nobody says.
    """
    if os.geteuid() == 0:
        return SYSTEM
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "hermes", "controller")


class Options(_Options):
    """
    The options of C{twistd hermes-controller}.

    @ivar places: where it listens, and how it is reached.
    @ivar socketNamed: whether C{hermes} must be told where the operator's socket is.
    """

    synopsis = "[options]"
    longdesc = "Run the controller of a Hermes overlay. With no options it keeps everything in one directory."
    optParameters: ClassVar[list[list[object]]] = [
        [
            "state",
            "s",
            None,
            f"The controller's own directory ({SYSTEM}; not as root, ~/.local/state/hermes/controller).",
        ],
        ["store", None, "sqlite:controller.db", f"Where the overlay is kept: {FORMS}."],
        ["listen", "l", "0.0.0.0:7700", "Where nodes come, HOST:PORT."],
        ["address", "a", None, "How nodes reach that, HOST:PORT (this machine's name, and the port of --listen)."],
        ["socket", None, None, f"The operator's Unix socket ({DEFAULT_SOCKET}; not as root, in the directory)."],
        ["https", None, "127.0.0.1:7780", "Where operators come with a token, HOST:PORT; 'none' for nowhere."],
    ]

    places: Places
    socketNamed: bool

    def __init__(self) -> None:
        _Options.__init__(self)
        self.names: list[str] = []

    def opt_name(self, name: str) -> None:
        """
        A DNS name or address that operators reach the controller at, for its certificate; may be repeated.
        """
        self.names.append(name)

    def postOptions(self) -> None:
        """
        Check them, so that a wrong one is told before the process becomes a daemon.
        """
        directory = os.path.abspath(self["state"] or defaultDirectory())
        path = self["socket"]
        if path is None:
            path = DEFAULT_SOCKET if os.geteuid() == 0 else os.path.join(directory, "controller.sock")
        self.socketNamed = path != DEFAULT_SOCKET
        https = "" if self["https"] == "none" else self["https"]
        try:
            listen = Target.fromText(self["listen"])
            address = self["address"] or f"{socket.getfqdn()}:{listen.port}"
            reached = Target.fromText(address)
            served = [Target.fromText(https).host] if https else []
        except ValueError as error:
            raise UsageError(str(error)) from None
        known = [*self.names, reached.host, socket.gethostname(), "localhost", "127.0.0.1", *served]
        names = tuple(dict.fromkeys(name for name in known if name not in ("0.0.0.0", "::")))
        self.places = Places(directory, self["listen"], address, os.path.abspath(path) if path else "", https, names)


def makeService(options: Options) -> IService:
    """
    The service of a controller.
    """
    from twisted.internet import reactor

    installLeanDispatch(reactor)
    raiseDescriptorLimit()
    service: Any = makeController(reactor, options)
    return service  # type: ignore[no-any-return]


def makeController(reactor: Any, options: Options) -> ControllerService:
    """
    A controller of real parts.
    """
    places = options.places
    try:
        os.makedirs(places.directory, mode=0o700, exist_ok=True)
        if places.socket:
            os.makedirs(os.path.dirname(places.socket), exist_ok=True)
        store = makeStore(reactor, options["store"], places.directory)
    except OSError as error:
        raise SystemExit(f"hermes-controller: {error.filename}: {error.strerror}") from None
    except StoreError as error:
        raise SystemExit(f"hermes-controller: {error}") from None
    return ControllerService(reactor, store, places, options.socketNamed)
