"""
What is configured of a gateway.
"""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen
from attrs.validators import ge

from hermes.config.problems import Misfit
from hermes.config.types import ExistingFile, Name, NDNName, Seconds
from hermes.errors import HermesError
from hermes.ndn.app.windows import AimdWindow, CubicWindow, FixedWindow, Window
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name as PacketName
from hermes.ndn.security.certificate import Certificate
from hermes.ndn.security.policy import HierarchicalPolicy, Rule

TIMEOUT = Seconds(4.0)


@frozen
class GatewayOptions:
    """
    Objects of NDN by HTTP: C{GET /ndn/NAME}.

    @ivar forwarder: the listener of type C{ndn} whose forwarder is asked.
    @ivar path: how the paths of requests begin that are for the gateway; what follows is the name.
    @ivar hosts: the hosts of these requests; any, where there are none. On a listener that is a proxy for others, there
        had better be one.
    @ivar prefixes: the names that may be asked for: these, and all that begin so.
    @ivar anchors: certificates that are believed: what can't be traced back to one of them is answered 502. Nothing is
        verified, where there are none.
    @ivar rules: who may sign what, beside those whose identity the name begins with: C{/PREFIX=/SIGNERS}.
    @ivar discovery: how the newest version of an object is found: by its metadata, or else by what there is under its
        name; or by the latter alone.
    @ivar timeout: for how long an answer to one Interest is waited for.
    @ivar retries: how often it is sent again that was not answered.
    @ivar pipeline: how many Interests are on their way at once: a number, C{window}, or what AIMD or CUBIC find out.
    @ivar window: that number.
    @ivar ahead: how many segments are fetched ahead of a slow client.
    """

    forwarder: Name
    path: str = "/ndn/"
    hosts: tuple[str, ...] = ()
    prefixes: tuple[NDNName, ...] = ()
    anchors: tuple[ExistingFile, ...] = ()
    rules: tuple[str, ...] = ()
    discovery: Literal["metadata", "prefix"] = "metadata"
    timeout: Seconds = TIMEOUT
    retries: int = field(default=3, validator=ge(0))
    pipeline: Literal["fixed", "aimd", "cubic"] = "cubic"
    window: int = field(default=20, validator=ge(1))
    ahead: int = field(default=128, validator=ge(1))

    def __attrs_post_init__(self) -> None:
        if not self.path.startswith("/") or not self.path.endswith("/"):
            raise Misfit("a path begins and ends with a slash", below=("path",))
        if self.timeout <= 0:
            raise Misfit("nobody answers in no time", below=("timeout",))
        for key, parse in (("prefixes", PacketName.fromText), ("rules", Rule.fromText)):
            for number, text in enumerate(getattr(self, key)):
                try:
                    parse(text)
                except ValueError as error:
                    raise Misfit(str(error), below=(key, number)) from None
        if self.rules and not self.anchors:
            raise Misfit("nobody is asked who may sign what without 'anchors'", below=("rules",))

    def makeWindow(self) -> Window:
        """
        One for a fetch.
        """
        if self.pipeline == "fixed":
            return FixedWindow(self.window)
        return AimdWindow() if self.pipeline == "aimd" else CubicWindow()


def anchorsOf(options: GatewayOptions) -> list[Certificate]:
    """
    The certificates that are believed.

    @raise HermesError: where a file holds none.
    """
    anchors = []
    for path in options.anchors:
        try:
            with open(path, "rb") as file:
                anchors.append(Certificate.fromText(file.read()))
        except PacketError as error:
            raise HermesError(f"{path}: {error}") from error
    return anchors


def policyOf(options: GatewayOptions) -> HierarchicalPolicy:
    """
    Who may sign what.
    """
    return HierarchicalPolicy([Rule.fromText(text) for text in options.rules])
