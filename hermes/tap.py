"""
C{twistd hermes-proxy}: where the parts meet the reactor.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any, ClassVar

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
from hermes.net.network import Network
from hermes.node import ADMIN, Node
from hermes.service import NodeService
from hermes.sites import SiteListener
from hermes.workers import Supervisor, WorkerService, launch, workerIndex


class Options(_Options):
    """
    The options of C{twistd hermes-proxy}.

    @ivar config: the configuration, loaded.
    """

    synopsis = "--config FILE"
    longdesc = "Run a Hermes node. Its configuration can be checked without it: hermes check FILE"
    optParameters: ClassVar[list[list[object]]] = [["config", "c", None, "The node's configuration, a YAML file."]]

    config: NodeConfig

    def postOptions(self) -> None:
        """
        Load the configuration, so that a wrong one is told before the process becomes a daemon.
        """
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

    installLeanDispatch(reactor)
    raiseDescriptorLimit()
    path, config = options["config"], options.config
    if workerIndex(os.environ) is not None:
        return WorkerService(
            reactor,
            path,
            config,
            lambda config, inherited: makeNode(
                reactor, config, Network(reactor, reusePort=True, inherited=inherited.descriptors)
            ),
        )
    if config.workers > 1:
        return Supervisor(reactor, path, config, partial(launch, reactor, path), partial(makeSumming, reactor))
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
