"""
What the controller may call at a node.
"""

from __future__ import annotations

from hermes.control.channel.callee import Callee
from hermes.control.channel.methods import AGENT
from hermes.control.channel.typed import handlers
from hermes.interfaces.control import IAgentSide


class AgentEnd(Callee):
    """
    Passes calls on to the agent.
    """

    def __init__(self, agent: IAgentSide) -> None:
        super().__init__(
            handlers(
                AGENT,
                {
                    "prepare": lambda call: agent.prepare(
                        call.version, call.base, call.config, call.digest, call.decide
                    ),
                    "commit": lambda call: agent.commit(call.version),
                    "confirm": lambda call: agent.confirm(call.version),
                    "rollback": lambda call: agent.rollback(call.version),
                    "drain": lambda call: agent.drain(call.timeout),
                    "status": lambda call: agent.status(),
                    "health": lambda call: agent.health(),
                    "logs": lambda call: agent.logs(call.count),
                    "probe": lambda call: agent.probe(call.probes),
                    "revoked": lambda call: agent.revoked(call.serials),
                },
            )
        )
