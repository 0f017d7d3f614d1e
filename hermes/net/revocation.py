"""
Certificates that are not to be trusted any more, although they are of our authority and in their time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from cryptography import x509
from twisted.logger import Logger


class Session(Protocol):
    """
    One end of a TLS connection that stands.
    """

    def abortConnection(self) -> None:
        """
        End it at once.
        """


class RevokedCertificates:
    """
    Those of one process: the credentials that have it refuse them in handshakes, and connections that stand are ended
    when the certificate of their peer becomes one of these.

    Serial numbers are those of one authority: what others have issued is not in question where only its certificates
    are trusted.

    @ivar serials: the serial numbers.
    """

    log = Logger()

    def __init__(self) -> None:
        self.serials: frozenset[int] = frozenset()
        self._sessions: dict[int, set[Session]] = {}

    def set(self, serials: Iterable[str]) -> None:
        """
        These are revoked, and no others.

        @param serials: in hexadecimal. What is none is passed over, with a word in the log: it can't be a
            certificate's.
        """
        found = set()
        for each in serials:
            try:
                found.add(int(each, 16))
            except ValueError:
                self.log.error("{serial!r} is no serial number", serial=each)
        self.serials = frozenset(found)
        for serial in self.serials & self._sessions.keys():
            for session in list(self._sessions.get(serial, ())):
                session.abortConnection()

    def covers(self, certificate: x509.Certificate) -> bool:
        """
        Whether a certificate is revoked.
        """
        return certificate.serial_number in self.serials

    def joined(self, session: Session, serial: int) -> None:
        """
        A connection stands whose peer has this certificate.
        """
        self._sessions.setdefault(serial, set()).add(session)
        if serial in self.serials:
            session.abortConnection()

    def left(self, session: Session, serial: int) -> None:
        """
        It has ended.
        """
        sessions = self._sessions.get(serial)
        if sessions is not None:
            sessions.discard(session)
            if not sessions:
                del self._sessions[serial]
