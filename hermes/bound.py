"""
A listener that a node runs, and what a reload may ask of it.
"""

from __future__ import annotations

from typing import Any

from attrs import define

from hermes.config import ListenerConfig
from hermes.interfaces import IListener


@define(eq=False)
class Bound:
    """
    A listener that runs, and what it was made of.
    """

    config: ListenerConfig
    listener: IListener

    def call(self, method: str, *arguments: object) -> Any:
        """
        Call what a listener need not have; see L{IListener}.
        """
        call = getattr(self.listener, method, None)
        return None if call is None else call(*arguments)

    def takes(self, config: ListenerConfig | None) -> bool:
        """
        Whether it takes other options while it runs.

        @raise hermes.errors.HermesError: where they are no good.
        """
        if config is None or config == self.config or config.type != self.config.type:
            return False
        return bool(self.call("reconfigurable", config.options))

    def reconfigure(self, config: ListenerConfig) -> None:
        """
        Have it take them.
        """
        self.config = config
        self.call("reconfigure", config.options)


def places(config: ListenerConfig) -> set[str]:
    """
    What two listeners can't have both: ports, whichever address they are on, and the paths of Unix sockets; and what its
    options say themselves, in C{places}. Not ports that the kernel chooses, nor what an option of an extension may mean.
    """
    bind = getattr(config.options, "bind", None)
    binds = bind if isinstance(bind, tuple) else (bind,)
    found = {each if each.startswith("unix:") else each.rpartition(":")[2] for each in binds if isinstance(each, str)}
    return found - {"0"} | set(getattr(config.options, "places", ()))
