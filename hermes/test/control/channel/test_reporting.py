"""
Tests for L{hermes.control.channel.reporting}.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.channel.errors import CallFailed, ChannelLost, NoSuchMethod
from hermes.control.channel.methods import Events
from hermes.control.channel.reporting import AGAIN, LinkReporter, isNews
from hermes.control.values import LinkFigure

FAST = LinkFigure("relay", 0.01)
SLOW = LinkFigure("relay", 0.2)


@define(eq=False)
class Measuring:
    """
    Has figures.
    """

    figures: Mapping[str, LinkFigure] = field(factory=dict)


@define(eq=False)
class Session:
    """
    A connection to a controller, which hears and does not answer by itself.
    """

    heard: list[tuple[LinkFigure, ...]] = field(factory=list)
    answers: list[Deferred[None]] = field(factory=list)

    def tell(self, events: Events) -> Deferred[None]:
        self.heard.append(events.measurements)
        self.answers.append(Deferred())
        return self.answers[-1]


class ReportingTests(SynchronousTestCase):
    """
    L{LinkReporter}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.measuring = Measuring()
        self.reporter = LinkReporter(self.clock, self.measuring)
        self.session = Session()

    def measure(self, *figures: LinkFigure, answer: bool = True) -> int:
        """
        Ten seconds later these are measured; how often the controller was told so far.
        """
        self.clock.advance(10)
        self.measuring.figures = {figure.to: figure for figure in figures}
        self.reporter.measured()
        if answer:
            for each in self.session.answers:
                if not each.called:
                    each.callback(None)
        return len(self.session.heard)

    def test_newsIsToldAtOnceAndTheRestNowAndThen(self) -> None:
        other = LinkFigure("other", 0.05)
        self.reporter.connected(self.session)
        self.assertEqual(self.measure(), 0)
        self.assertEqual(self.measure(FAST, other), 1)
        self.assertEqual([self.measure(FAST, other) for _ in range(int(AGAIN / 10) - 1)], [1] * (int(AGAIN / 10) - 1))
        self.assertEqual(self.measure(FAST, other), 2)
        self.assertEqual(self.measure(SLOW, other), 3)
        self.assertEqual(self.session.heard[-1], (SLOW, other))
        self.assertEqual(self.measure(SLOW, other), 3)

    def test_whatIsNews(self) -> None:
        self.assertTrue(isNews(FAST, None))
        self.assertTrue(isNews(LinkFigure("relay", up=False), FAST))
        self.assertTrue(isNews(FAST, LinkFigure("relay", up=False)))
        self.assertTrue(isNews(LinkFigure("relay", 0.0125), FAST))
        self.assertTrue(isNews(LinkFigure("relay", 0.01, 0.05), FAST))
        self.assertFalse(isNews(LinkFigure("relay", 0.0115, 0.01), FAST))
        self.assertFalse(isNews(LinkFigure("relay", 0.0004), LinkFigure("relay", 0.0001)))
        self.assertFalse(isNews(LinkFigure("relay", up=False), LinkFigure("relay", up=False)))

    def test_withoutAConnectionNothingIsTold(self) -> None:
        self.assertEqual(self.measure(FAST), 0)

    def test_eachConnectionIsToldEverythingAtOnce(self) -> None:
        self.reporter.connected(self.session)
        self.measure(FAST, answer=False)
        later = Session()
        self.reporter.connected(later)
        self.assertEqual(later.heard, [(FAST,)])
        self.session.answers[0].errback(ChannelLost("gone"))
        later.answers[0].callback(None)
        self.measure(SLOW)
        self.assertEqual((len(self.session.heard), later.heard[1:]), (1, [(SLOW,)]))

    def test_oneIsToldAtATime(self) -> None:
        self.reporter.connected(self.session)
        self.measure(FAST, answer=False)
        self.assertEqual(self.measure(SLOW), 1)
        self.assertEqual(self.measure(SLOW), 2)

    def test_anOlderControllerIsToldNoMore(self) -> None:
        """
        The next one is.
        """
        self.reporter.connected(self.session)
        self.measure(FAST, answer=False)
        self.session.answers[0].errback(NoSuchMethod("there is no method 'events'"))
        self.assertEqual(self.measure(SLOW), 1)
        later = Session()
        self.reporter.connected(later)
        self.assertEqual(later.heard, [(SLOW,)])

    def test_whatCouldNotBeToldIsToldAgain(self) -> None:
        self.reporter.connected(self.session)
        self.measure(FAST, answer=False)
        self.session.answers[0].errback(CallFailed("its log says why"))
        self.assertEqual(self.measure(FAST), 2)
        self.assertEqual(self.measure(FAST), 2)
