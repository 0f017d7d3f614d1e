"""
A node joins: from a token to a certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hermes.control.channel.backoff import Backoff
from hermes.control.enrolment.authority import CONTROLLER_NAME
from hermes.control.enrolment.errors import NotTheController
from hermes.control.enrolment.exchange import ENROL, EnrolmentFailed, askForCertificate
from hermes.control.enrolment.identity import IdentityFiles, NodeIdentity
from hermes.control.enrolment.pinning import UnverifiedCredentials, findAuthority
from hermes.control.enrolment.requests import makeRequest
from hermes.control.enrolment.tokens import Token
from hermes.control.errors import ControlError
from hermes.errors import HermesError
from hermes.net.certificates import ClientCredentials

AUTHORITY = "joining.pem"
"""
Where the authority that the token names is kept while the node joins.
"""


@frozen
class Joining:
    """
    What it takes.

    @ivar clock: tells time that never jumps.
    @ivar connect: an endpoint for an address and credentials.
    @ivar identity: where the result is kept.
    @ivar keep: writes a file of the node's directory, given its name and what it holds, and returns its path.
    @ivar drop: removes one.
    """

    clock: IReactorTime
    connect: Callable[[str, Any], IStreamClientEndpoint]
    identity: IdentityFiles
    keep: Callable[[str, bytes], str]
    drop: Callable[[str], object]

    log = Logger()

    async def join(self, addresses: Sequence[str], token: Token, backoff: Backoff) -> NodeIdentity:
        """
        Try the addresses in turn until a controller has answered.

        @raise EnrolmentRefused: where it refuses.
        @raise NotTheController: where somebody else answers at each of the addresses.
        @raise IdentityBroken: where what it has signed is not what was asked for.
        @raise OSError: where the identity can't be kept.
        """
        while True:
            others = 0
            for address in addresses:
                try:
                    return await self.joinAt(address, token)
                except NotTheController as error:
                    others += 1
                    self.log.warn("{address}: {error}", address=address, error=error)
                    if others == len(addresses):
                        raise
                except EnrolmentFailed as error:
                    # It may have been taken: the next answer says so.
                    self.log.warn("{address}: {error}", address=address, error=error)
                except ControlError:
                    raise
                except HermesError as error:
                    self.log.info("no controller at {address} yet: {error}", address=address, error=error)
            await deferLater(self.clock, backoff.next())

    async def joinAt(self, address: str, token: Token) -> NodeIdentity:
        """
        Join at one address.

        @raise NotTheController: where somebody else answers; the token was not sent.
        @raise HermesError: where nobody answers; likewise.
        """
        unverified = UnverifiedCredentials((ENROL,), CONTROLLER_NAME.encode())
        authority = await findAuthority(self.connect(address, unverified), token.fingerprint)
        trust = self.keep(AUTHORITY, authority.public_bytes(Encoding.PEM))
        try:
            credentials = ClientCredentials(trustFile=trust, serverName=CONTROLLER_NAME, protocols=(ENROL,))
        finally:
            self.drop(AUTHORITY)
        key = self.identity.newKey()
        enrolled, _ = await askForCertificate(
            self.clock, self.connect(address, credentials), token.toText(), makeRequest(key)
        )
        found = self.identity.install(key, enrolled.certificate, enrolled.trust, enrolled.node)
        self.log.info("this is node {node} from now on", node=found.node)
        return found
