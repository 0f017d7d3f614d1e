"""
A controller's own certificate: signed when it starts, and again before it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hermes.control.agent.files import Files
from hermes.control.enrolment.authority import Authority
from hermes.control.enrolment.requests import keyText, makeKey
from hermes.errors import HermesError
from hermes.net.certificates import ServerCredentials
from hermes.net.revocation import RevokedCertificates

CERTIFICATE = "controller.pem"
KEY = "controller.key"
TRUST = "authority.pem"
"""
The names of the files. The first holds the authority's certificate too: whoever joins looks for it there.
"""

DAYS = 30.0
"""
How long it is valid.
"""

LOOK = 3600.0
"""
Seconds after which the time is looked at again.
"""


class ControllerCertificate:
    """
    See the module. Writing the files blocks for as long as the disk takes.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        seconds: Callable[[], float],
        authority: Authority,
        files: Files,
        names: Sequence[str] = (),
    ) -> None:
        """
        @param clock: tells time that never jumps.
        @param seconds: the time, since the epoch.
        @param files: a directory of the controller's own.
        @param names: DNS names and addresses that it is reached at, for browsers.
        """
        self._clock = clock
        self._seconds = seconds
        self._authority = authority
        self._files = files
        self._names = tuple(names)
        self._credentials: list[ServerCredentials] = []
        self._renewAt = 0.0
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """
        Sign it.

        @raise OSError: where it can't be kept.
        """
        self._files.create()
        self._files.write(TRUST, self._authority.trust.encode())
        self._sign()
        self._timer = self._clock.callLater(LOOK, self._look)

    def stop(self) -> None:
        """
        Look at the time no more.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def credentials(
        self, protocols: Sequence[bytes], revoked: RevokedCertificates | None = None, clients: bool = True
    ) -> ServerCredentials:
        """
        Credentials with it, for one port; they always have the last one.

        @param clients: whether clients are asked for a certificate of the authority.
        """
        trust = self._files.path(TRUST) if clients else None
        made = ServerCredentials(self._files.path(CERTIFICATE), self._files.path(KEY), trust, protocols, revoked)
        self._credentials.append(made)
        return made

    def _sign(self) -> None:
        key = makeKey()
        now = self._seconds()
        issued = self._authority.controller(key.public_key(), self._names, DAYS, datetime.fromtimestamp(now, UTC))
        self._files.write(KEY, keyText(key))
        self._files.write(CERTIFICATE, (issued.text + self._authority.trust).encode())
        self._renewAt = now + (issued.expires - now) * 2 / 3
        for each in self._credentials:
            each.reload()

    def _look(self) -> None:
        self._timer = self._clock.callLater(LOOK, self._look)
        if self._seconds() >= self._renewAt:
            try:
                self._sign()
            except (OSError, HermesError) as error:
                self.log.error("the controller's certificate could not be renewed: {error}", error=error)
