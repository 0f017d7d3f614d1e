"""
Telling the forwarder which Interests are for this application (NFD Management, "RIB Management").
"""

from __future__ import annotations

from attrs import frozen
from twisted.logger import Logger

from hermes.ndn.app.client import Client, Handler
from hermes.ndn.app.errors import AppError, CommandFailed, InterestTimeout
from hermes.ndn.face.uri import isLoopback
from hermes.ndn.management.control import ControlParameters, ControlResponse
from hermes.ndn.packet.component import generic
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name
from hermes.ndn.security.signedinterest import InterestSigner

LOCAL = Name.fromText("/localhost/nfd")
REMOTE = Name.fromText("/localhop/nfd")
"""
Where commands go: to a forwarder of this host, to one of another.
"""

COMMAND_LIFETIME = 4000
"""
For how long an answer is waited for, in milliseconds; twice.
"""

OK = 200

_log = Logger()


def managementPrefix(client: Client) -> Name:
    """
    What the names of the forwarder's management begin with.
    """
    getPeer = getattr(client.transport, "getPeer", None)
    return LOCAL if getPeer is None or isLoopback(getPeer()) else REMOTE


async def command(
    client: Client, signer: InterestSigner, module: str, verb: str, parameters: ControlParameters
) -> ControlParameters:
    """
    Give the forwarder a command.

    @param signer: who gives it.
    @param module: C{"rib"}, C{"faces"} and so on.
    @return: what it has done.
    @raise CommandFailed: if it is refused.
    @raise AppError: if no answer comes, or one that is none.
    """
    name = managementPrefix(client) + generic(module.encode()) + generic(verb.encode()) + generic(parameters.encode())
    for last in (False, True):
        # Each with a time of its own: what may have been taken already must not look like a replay.
        wire = signer.encode(name, nonce=client.nonce(), lifetime=COMMAND_LIFETIME, mustBeFresh=True)
        try:
            data = await client.expressWire(wire)
            break
        except InterestTimeout:
            if last:
                raise
    try:
        response = ControlResponse.decode(data.content)
        done = response.parameters
    except PacketError as error:
        raise AppError(f"the forwarder's answer to {module}/{verb} is malformed: {error}") from error
    if response.code != OK:
        raise CommandFailed(response.code, response.text)
    return done


@frozen
class Registration:
    """
    A prefix whose Interests come to this application.
    """

    client: Client
    prefix: Name
    signer: InterestSigner

    async def withdraw(self) -> None:
        """
        Have them come no more. Where the forwarder does not answer, that is logged, and so it is.
        """
        self.client.unhandle(self.prefix)
        try:
            await command(self.client, self.signer, "rib", "unregister", ControlParameters(name=self.prefix))
        except AppError as error:
            _log.warn("{prefix} is not withdrawn: {error}", prefix=str(self.prefix), error=str(error))


async def register(
    client: Client,
    signer: InterestSigner,
    prefix: Name,
    handler: Handler,
    cost: int | None = None,
    flags: int | None = None,
) -> Registration:
    """
    Have the Interests under a prefix given to a handler.

    @param signer: who asks for it; a forwarder asks of local applications no more than a digest.
    @param cost: of the route, where there are others; 0 where not given.
    @param flags: 1 child-inherit, 2 capture; 1 where not given.
    @raise CommandFailed: if it is refused.
    @raise AppError: if no answer comes.
    """
    client.handle(prefix, handler)
    try:
        await command(client, signer, "rib", "register", ControlParameters(name=prefix, cost=cost, flags=flags))
    except BaseException:
        client.unhandle(prefix)
        raise
    return Registration(client, prefix, signer)
