"""
Telling the controller what links are like: when that is another than was told, and otherwise now and then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.control.channel.errors import ChannelLost, NoSuchMethod
from hermes.control.channel.methods import Events
from hermes.control.values import LinkFigure

AGAIN: Final = 60.0
"""
Seconds after which what has not changed is told again.
"""

CHANGED: Final = 0.2
"""
A round trip is another where it differs by this share of what was told, and by L{LITTLE}.
"""

LITTLE: Final = 0.0005
"""
Seconds.
"""

LOSS: Final = 0.02
"""
A loss is another where it differs by this.
"""


class Told(Protocol):
    """
    A connection to a controller: L{hermes.control.channel.session.Session}.
    """

    def tell(self, events: Events) -> Deferred[None]: ...


class Measuring(Protocol):
    """
    See L{hermes.control.agent.measuring.LinkMeasurer}.
    """

    @property
    def figures(self) -> Mapping[str, LinkFigure]: ...


def isNews(now: LinkFigure, before: LinkFigure | None) -> bool:
    """
    Whether a controller would like to know.
    """
    if before is None or now.up != before.up:
        return True
    differ = abs((now.roundTrip or 0) - (before.roundTrip or 0))
    return differ > max(LITTLE, CHANGED * (before.roundTrip or 0)) or abs(now.loss - before.loss) > LOSS


class LinkReporter:
    """
    Tells whichever controller the node is connected to. A new connection is told everything: the one before may have
    been to another controller.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, measuring: Measuring) -> None:
        self._clock = clock
        self._measuring = measuring
        self._session: Told | None = None
        self._told: Mapping[str, LinkFigure] = {}
        self._toldAt: float | None = None
        self._telling = False

    def connected(self, session: Told) -> None:
        """
        There is a connection.
        """
        self._session, self._told, self._toldAt, self._telling = session, {}, None, False
        self.measured()

    def measured(self) -> None:
        """
        There are new figures.
        """
        session, figures, now = self._session, self._measuring.figures, self._clock.seconds()
        if session is None or self._telling or not figures:
            return
        news = any(isNews(figure, self._told.get(name)) for name, figure in figures.items())
        if not news and self._toldAt is not None and now - self._toldAt < AGAIN:
            return
        self._telling, self._told, self._toldAt = True, figures, now
        session.tell(Events(tuple(figures.values()))).addBoth(self._hasTold, session)

    def _hasTold(self, result: Any, session: Told) -> None:
        if self._session is not session:
            return
        self._telling = False
        if not isinstance(result, Failure):
            return
        if result.check(NoSuchMethod, ChannelLost):
            # An older controller, or none: the next connection is another matter.
            self._session = None
        else:
            # All of it is told again with the next figures.
            self._told = {}
        self.log.info("the controller was not told of the links: {error}", error=result.getErrorMessage())
