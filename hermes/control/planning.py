"""
From the overlay document to a plan: read, compiled, tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import field, frozen

from hermes.control.compiler import Compiled, Measurements, compile
from hermes.control.compiler.graph import weightsOf
from hermes.control.compiler.routes import OVERLAY
from hermes.control.document import OverlayDocument, loadOverlay
from hermes.control.explaining import Explainer
from hermes.control.plans import Plan
from hermes.control.policytests import judge
from hermes.control.values import CONTROLLER, NodeReason, Probe, Settings
from hermes.values import Target

DOCUMENT = "overlay"
"""
How messages call a document that is no file.
"""


@frozen(eq=False)
class OverlayPlan(Plan):
    """
    A plan, and what it is made of.

    @ivar document: the document.
    @ivar compiled: what it comes to.
    """

    document: OverlayDocument = field(kw_only=True)
    compiled: Compiled = field(kw_only=True)

    def texts(self) -> Mapping[str, str]:
        """
        Each node's configuration, by the node's name.
        """
        return {name: output.text for name, output in self.compiled.nodes.items()}

    def explainer(self) -> Explainer:
        """
        Answers what somebody may do.
        """
        return Explainer(self.compiled)


class OverlayPlanner:
    """
    The real one of L{hermes.control.plans.Planner}.
    """

    def __init__(self, settings: Settings | None = None, file: str = DOCUMENT) -> None:
        """
        @param settings: how changes are made where the document does not say.
        @param file: how messages call the document.
        """
        self._settings = settings or Settings()
        self._file = file
        # As a rule most nodes stay as they are. It may be called in several threads: each takes what there is.
        self._last: Compiled | None = None

    def plan(self, document: str, measurements: str) -> OverlayPlan:
        loaded = loadOverlay(document, self._file)
        compiled = self._last = compile(loaded, Measurements.fromText(measurements), self._last)
        config = loaded.config
        return OverlayPlan(
            configs={name: output.text.encode() for name, output in compiled.nodes.items()},
            measurements=measurements,
            settings=Settings(
                config.settings.trial,
                config.settings.decide,
                self._settings.answer,
                self._settings.failing,
                config.settings.reroute,
                config.settings.rerouteAfter,
            ),
            required=frozenset(str(name) for name, node in config.nodes.items() if node.required),
            probes={} if compiled.problems else dict(_probes(loaded, compiled)),
            problems=tuple(_problems(loaded, compiled)),
            weights=weightsOf(config),
            document=loaded,
            compiled=compiled,
        )


def _problems(document: OverlayDocument, compiled: Compiled) -> Iterator[NodeReason]:
    for problem in compiled.problems:
        yield NodeReason(CONTROLLER, problem, "validate")
    if compiled.problems:
        return
    for verdict in judge(document, compiled):
        if not verdict.passed:
            yield NodeReason(CONTROLLER, f"test {verdict.number + 1}: {verdict.text}: {verdict.why}", "validate")


def _probes(document: OverlayDocument, compiled: Compiled) -> Iterator[tuple[str, tuple[Probe, ...]]]:
    """
    The destinations that the settings name, from each node where somebody comes in, as if through its first listener.
    """
    config = document.config
    if not config.settings.probe:
        return
    for node in Explainer(compiled).entrances():
        listeners = [name for name, each in compiled.configs[node].listeners.items() if each.type != "tun"]
        own = [name for name in listeners if name != OVERLAY]
        if own:
            yield node, tuple(_probe(document, each, own[0]) for each in config.settings.probe)


def _probe(document: OverlayDocument, destination: str, listener: str) -> Probe:
    service = document.config.services.get(Target.fromText(destination, 80).host)
    return Probe(destination, destination, "tcp" if service is None else service.protocol, listener=listener)
