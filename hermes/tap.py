"""
C{twistd hermes-proxy}: where the parts meet the reactor.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.application.service import IService
from twisted.python.usage import Options as _Options
from twisted.python.usage import UsageError

from hermes.admin.status import addressText
from hermes.admin.workers import Workers
from hermes.assembly import Assembly
from hermes.config import ConfigError, NodeConfig, loadNode
from hermes.interfaces import IListener, INetwork
from hermes.net.descriptorlimit import raiseDescriptorLimit
from hermes.net.dispatch import installLeanDispatch
from hermes.net.moderation import TURNS, Moderation
from hermes.net.network import Network
from hermes.net.scheduling import AUTO, BATCH, POLICIES, scheduleInBatches
from hermes.node import ADMIN, Node
from hermes.service import NodeService
from hermes.sites import SiteListener
from hermes.values import Target
from hermes.workers import Supervisor, WorkerService, launch, workerIndex

if TYPE_CHECKING:
    from hermes.control.enrolment.tokens import Token


class Options(_Options):
    """
    The options of C{twistd hermes-proxy}.

    @ivar config: the configuration, loaded.
    @ivar controllers: addresses of controllers; of a node that has none, empty.
    @ivar joining: the token with which the node joins, or L{None}.
    """

    synopsis = "--config FILE | --controller ADDRESS --state DIRECTORY [--token TOKEN]"
    longdesc = (
        "Run a Hermes node, from a file or as a controller configures it. A file can be checked without it: "
        "hermes check FILE. A token to join with comes from the controller: hermes enrol NODE"
    )
    optParameters: ClassVar[list[list[object]]] = [
        ["config", "c", None, "The node's configuration, a YAML file."],
        ["state", "s", None, "With a controller: the node's own directory. What it runs is kept there."],
        ["token", "t", None, "With a controller: the token to join with, once."],
        ["token-file", None, None, "The same, from a file."],
        [
            "scheduling",
            None,
            AUTO,
            "normal, batch, or auto: in batches while that pays.",
        ],
    ]

    config: NodeConfig

    def __init__(self) -> None:
        _Options.__init__(self)
        self.controllers: list[str] = []
        self.joining: Token | None = None

    def opt_controller(self, address: str) -> None:
        """
        HOST:PORT of a controller, in place of --config; may be repeated where there are several.
        """
        self.controllers.append(address)

    def _controlled(self) -> None:
        if self["config"]:
            raise UsageError("a node has a file or a controller: --config or --controller")
        if not self["state"]:
            raise UsageError("--state DIRECTORY is missing: where the node keeps who it is and what it runs")
        if self["token"] and self["token-file"]:
            raise UsageError("one token: --token or --token-file")
        self["state"] = os.path.abspath(self["state"])
        from hermes.control.enrolment.errors import BadToken
        from hermes.control.enrolment.tokens import Token

        try:
            for address in self.controllers:
                Target.fromText(address)
            if self["token-file"]:
                with open(self["token-file"], encoding="utf-8") as file:
                    self["token"] = file.read()
            if self["token"]:
                self.joining = Token.fromText(self["token"])
        except (BadToken, ValueError) as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            raise UsageError(f"{self['token-file']}: {error.strerror}") from None

    def postOptions(self) -> None:
        """
        Load the configuration, so that a wrong one is told before the process becomes a daemon.
        """
        if self["scheduling"] not in POLICIES:
            raise UsageError(f"--scheduling {self['scheduling']}: one of {', '.join(POLICIES)}")
        if self.controllers:
            self._controlled()
            return
        for option in ("state", "token", "token-file"):
            if self[option]:
                raise UsageError(f"--{option} is for a node with a controller")
        if not self["config"]:
            raise UsageError("--config FILE is missing")
        # A daemon's directory is another one.
        self["config"] = os.path.abspath(self["config"])
        try:
            self.config = loadNode(self["config"])
        except ConfigError as error:
            raise SystemExit(str(error)) from None


def makeService(options: Options) -> IService:
    """
    The service of a node: of the node itself, of the supervisor of its workers, or of one of them.
    """
    from twisted.internet import reactor

    scheduling = options["scheduling"]
    isWorker = workerIndex(os.environ) is not None
    supervises = not (isWorker or options.controllers) and options.config.workers > 1
    # What a supervisor is, its workers are when they begin.
    moderation = Moderation() if scheduling == AUTO and not supervises else None
    installLeanDispatch(reactor, moderation.look if moderation else None, TURNS)
    raiseDescriptorLimit()
    if scheduling == BATCH:
        scheduleInBatches()
    if options.controllers:
        from hermes.control.nodeservice import ControlledNodeService

        return ControlledNodeService(reactor, Network(reactor), options["state"], options.controllers, options.joining)
    path, config = options["config"], options.config
    if isWorker:
        return WorkerService(
            reactor,
            path,
            config,
            lambda config, inherited: makeNode(
                reactor, config, Network(reactor, reusePort=True, inherited=inherited.descriptors)
            ),
        )
    if supervises:
        return Supervisor(
            reactor, path, config, partial(launch, reactor, path, scheduling), partial(makeSumming, reactor)
        )
    return NodeService(reactor, path, config, lambda reactor, config: makeNode(reactor, config, Network(reactor)))


def makeNode(reactor: Any, config: NodeConfig, network: INetwork) -> Node:
    """
    A node of real parts.
    """
    return Node(reactor, config, Assembly(reactor, network))


def makeSumming(reactor: Any, supervisor: Supervisor) -> IListener:
    """
    The admin listener of a supervisor, which sums what its workers say.
    """
    assert supervisor.config.admin is not None
    workers = Workers(reactor, supervisor.workerAdminSockets, lambda: {ADMIN: addressText(listener.getHost())})
    listener = SiteListener(ADMIN, supervisor.config.admin.bind, workers.site(), Network(reactor))
    return listener
