"""
One Interest, and what comes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from hermes.ndn.app.errors import Disconnected, InterestNack, InterestTimeout
from hermes.ndn.packet.data import Data, decodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView

if TYPE_CHECKING:
    from hermes.ndn.app.client import Client


class Expressed:
    """
    A L{hermes.ndn.app.client.Receiver} with a Deferred.

    @ivar deferred: fires with the Data that answers the Interest. It can be cancelled.
    """

    def __init__(self, client: Client, name: Name, lifetime: float) -> None:
        """
        @param lifetime: for how long it waits, in seconds.
        """
        self.deferred: Deferred[Data] = Deferred(self._cancel)
        self._client = client
        self._name = name
        self._timer: IDelayedCall = client.clock.callLater(lifetime, self._timedOut)

    def dataReceived(self, view: DataView, congestionMark: int) -> None:
        """
        See L{hermes.ndn.app.client.Receiver}.
        """
        self._timer.cancel()
        try:
            data = decodeData(view.wire)
        except PacketError:
            self.deferred.errback()
            return
        self.deferred.callback(data)

    def nackReceived(self, view: InterestView, reason: int) -> None:
        """
        The same.
        """
        self._timer.cancel()
        self.deferred.errback(InterestNack(str(self._name), reason))

    def connectionLost(self, reason: Failure) -> None:
        """
        The same.
        """
        self._timer.cancel()
        self.deferred.errback(Disconnected(f"{self._name}: the connection to the forwarder has ended"))

    def _timedOut(self) -> None:
        self._client.forget(self._name.value, self)
        self.deferred.errback(InterestTimeout(f"{self._name}: no answer in time"))

    def _cancel(self, deferred: Deferred[Data]) -> None:
        self._timer.cancel()
        self._client.forget(self._name.value, self)
