"""
Accepting connections.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from socket import AF_INET, AF_INET6, socket
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IProtocolFactory, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.net.failures import EXHAUSTED
from hermes.net.names import twistedAddress
from hermes.net.sockets import Bound
from hermes.net.tuning import tune

BACKLOG = 4096
"""
How many connections may wait to be accepted; the kernel has a bound of its own (C{net.core.somaxconn}).
"""

ACCEPTS_PER_TURN = 64
"""
How many are accepted before other descriptors have their turn.
"""

EXHAUSTED_DELAY = 0.5
"""
With no descriptor left, how long nothing is accepted, in seconds: what waits would make the reactor spin.
"""


@implementer(IListeningPort, IReadDescriptor)
class ListeningPort:
    """
    A listening socket in a reactor.
    """

    log: ClassVar[Logger] = Logger()
    leanDispatch: ClassVar[bool] = True

    _listening = False
    _paused: IDelayedCall | None = None

    def __init__(
        self,
        bound: Bound,
        reactor: Any,
        factory: IProtocolFactory,
        serve: Callable[[socket, Any, IProtocolFactory], None],
    ) -> None:
        """
        @param bound: becomes the port's.
        @param reactor: provides C{IReactorFDSet} and C{IReactorTime}.
        @param factory: builds the protocols.
        @param serve: makes a transport of an accepted socket and the peer's Twisted address, and connects it with a
            protocol.
        """
        self.factory = factory
        self.fileno = bound.socket.fileno
        self._bound = bound
        self._reactor = reactor
        self._serve = serve
        # The address outlives the socket: who stops a port may still want to know which it was.
        self._host = twistedAddress(bound.socket, bound.socket.getsockname(), "TCP")

    def startListening(self) -> None:
        """
        @raise OSError: where another socket listens already.
        """
        sock = self._bound.socket
        sock.setblocking(False)
        if sock.family in (AF_INET, AF_INET6):
            # What is accepted has it too (Linux), without a call for each.
            tune(sock)
        sock.listen(BACKLOG)
        self._listening = True
        self.factory.doStart()
        self._reactor.addReader(self)
        self.log.info("Listening on {host}", host=self._host)

    def doRead(self) -> None:
        """
        Accept what waits.
        """
        accept = self._bound.socket.accept
        for _ in range(ACCEPTS_PER_TURN):
            if not self._listening:
                return
            try:
                sock, name = accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._pause(error)
                    return
                # Somebody gave up while it waited to be accepted.
                continue
            try:
                self._serve(sock, twistedAddress(sock, name, "TCP"), self.factory)
            except Exception:
                self.log.failure("{factory} failed to serve a connection", factory=self.factory)
                sock.close()

    def _pause(self, error: OSError) -> None:
        self.log.error(
            "{host} accepts nothing for {delay} s: {error}",
            host=self._host,
            delay=EXHAUSTED_DELAY,
            error=os.strerror(error.errno or 0),
        )
        self._reactor.removeReader(self)
        self._paused = self._reactor.callLater(EXHAUSTED_DELAY, self._resume)

    def _resume(self) -> None:
        self._paused = None
        self._reactor.addReader(self)

    def stopListening(self) -> Deferred[None]:
        """
        Accept nothing more; connections go on.

        @return: has fired.
        """
        if self._listening:
            self._listening = False
            self._reactor.removeReader(self)
            if self._paused is not None:
                self._paused.cancel()
            with suppress(OSError):
                self._bound.close()
            self.factory.doStop()
            self.log.info("No longer listening on {host}", host=self._host)
        return succeed(None)

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor stops, or has lost the descriptor.
        """
        self.stopListening()

    def getHost(self) -> Any:
        return self._host

    def logPrefix(self) -> str:
        return type(self.factory).__name__
