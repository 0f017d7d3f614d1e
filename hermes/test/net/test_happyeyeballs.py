"""
The first address that answers wins.
"""

from __future__ import annotations

from errno import ECONNREFUSED, EHOSTUNREACH, EMFILE, ENETUNREACH, ETIMEDOUT

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectError, ConnectionLost, ConnectionRefusedError, TimeoutError
from twisted.trial.unittest import SynchronousTestCase

from hermes.errors import (
    FlowError,
    HopUnavailable,
    HopUntrusted,
    NameNotFound,
    Overloaded,
    TargetProhibited,
    TargetRefused,
    TargetTimeout,
    TargetUnreachable,
)
from hermes.net.happyeyeballs import ATTEMPT_DELAY, CONNECT_TIMEOUT, connectTarget
from hermes.test.net.resolver import ResolvingReactor
from hermes.values import Address, Target


class ConnectTargetTests(SynchronousTestCase):
    """
    Attempts, as a list of pairs of an address and its Deferred, which fires with the address.
    """

    def setUp(self) -> None:
        self.reactor = ResolvingReactor()
        self.reactor.nameResolver.names["www.example"] = ("2a00::1", "2a00::2", "8.8.8.8")
        self.attempts: list[tuple[str, Deferred[str]]] = []
        self.cancelled: list[str] = []

    def tearDown(self) -> None:
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def connectAddress(self, address: Address) -> Deferred[str]:
        attempt: Deferred[str] = Deferred(lambda _: self.cancelled.append(address[0]))
        self.attempts.append((address[0], attempt))
        return attempt

    def connect(self, host: str = "www.example") -> Deferred[str]:
        return connectTarget(self.reactor, Target(host, 80), self.connectAddress)

    def tried(self) -> list[str]:
        return [host for host, _ in self.attempts]

    def succeed(self, index: int) -> None:
        self.attempts[index][1].callback(self.attempts[index][0])

    def test_theFirstAddressIsTriedFirst(self) -> None:
        connected = self.connect()
        self.assertEqual(self.tried(), ["2a00::1"])
        self.succeed(0)
        self.assertEqual(self.successResultOf(connected), "2a00::1")
        self.reactor.advance(CONNECT_TIMEOUT)
        self.assertEqual(self.tried(), ["2a00::1"])

    def test_aSlowAddressGetsACompetitorOfTheOtherFamily(self) -> None:
        connected = self.connect()
        self.reactor.advance(ATTEMPT_DELAY)
        self.assertEqual(self.tried(), ["2a00::1", "8.8.8.8"])
        self.succeed(1)
        self.assertEqual(self.successResultOf(connected), "8.8.8.8")
        self.assertEqual(self.cancelled, ["2a00::1"])

    def test_aSlowAddressMayStillWin(self) -> None:
        connected = self.connect()
        self.reactor.pump([ATTEMPT_DELAY, ATTEMPT_DELAY])
        self.assertEqual(self.tried(), ["2a00::1", "8.8.8.8", "2a00::2"])
        self.succeed(0)
        self.assertEqual(self.successResultOf(connected), "2a00::1")
        self.assertEqual(sorted(self.cancelled), ["2a00::2", "8.8.8.8"])

    def test_afterAFailureTheNextIsTriedAtOnce(self) -> None:
        connected = self.connect()
        self.attempts[0][1].errback(OSError(ECONNREFUSED, ""))
        self.assertEqual(self.tried(), ["2a00::1", "8.8.8.8"])
        self.reactor.advance(ATTEMPT_DELAY / 2)
        self.assertEqual(len(self.attempts), 2)
        self.reactor.advance(ATTEMPT_DELAY / 2)
        self.assertEqual(len(self.attempts), 3)
        self.succeed(2)
        self.assertEqual(self.successResultOf(connected), "2a00::2")

    def test_theErrorThatSaysMostIsTold(self) -> None:
        connected = self.connect()
        for number, error in enumerate((ENETUNREACH, ECONNREFUSED, EHOSTUNREACH)):
            self.attempts[number][1].errback(OSError(error, ""))
        error = self.failureResultOf(connected, TargetRefused).value
        self.assertEqual(str(error), "www.example:80 refused the connection")

    def test_attemptsThatFailAtOnceAreFollowedAtOnce(self) -> None:
        def connectAddress(address: Address) -> Deferred[str]:
            if address[0] != "2a00::2":
                return fail(OSError(ENETUNREACH, ""))
            return succeed(address[0])

        connected = connectTarget(self.reactor, Target("www.example", 80), connectAddress)
        self.assertEqual(self.successResultOf(connected), "2a00::2")

    def test_allMayFailAtOnce(self) -> None:
        connected = connectTarget(
            self.reactor, Target("www.example", 80), lambda address: fail(OSError(ENETUNREACH, ""))
        )
        self.failureResultOf(connected, TargetUnreachable)

    def test_allAddressesTogetherHaveOneTimeout(self) -> None:
        connected = self.connect()
        self.reactor.pump([ATTEMPT_DELAY, ATTEMPT_DELAY, CONNECT_TIMEOUT])
        self.failureResultOf(connected, TargetTimeout)
        self.assertEqual(len(self.cancelled), 3)

    def test_cancellingCancelsAllAttempts(self) -> None:
        connected = self.connect()
        self.reactor.advance(ATTEMPT_DELAY)
        connected.cancel()
        self.failureResultOf(connected, CancelledError)
        self.assertEqual(sorted(self.cancelled), ["2a00::1", "8.8.8.8"])

    def test_cancellingCancelsTheResolution(self) -> None:
        connected = self.connect("other.example")
        connected.cancel()
        self.failureResultOf(connected, CancelledError)
        self.assertTrue(self.reactor.nameResolver.asked[0].cancelled)
        self.assertEqual(self.attempts, [])

    def test_whatMayNotBeConnectedToIsNotTried(self) -> None:
        self.failureResultOf(self.connect("127.0.0.1"), TargetProhibited)
        self.failureResultOf(self.connect("db.hermes"), NameNotFound)
        self.assertEqual(self.attempts, [])

    def test_everyFailureIsAFlowError(self) -> None:
        for error, expected in (
            (OSError(ETIMEDOUT, ""), TargetTimeout),
            (OSError(EMFILE, ""), Overloaded),
            (OSError(), HopUnavailable),
            (ConnectError(ECONNREFUSED), TargetRefused),
            (ConnectionRefusedError(), TargetRefused),
            (TimeoutError(), TargetTimeout),
            (ConnectionLost(), HopUnavailable),
            (HopUntrusted("not the one"), HopUntrusted),
        ):
            connected = self.connect("8.8.8.8")
            self.attempts[-1][1].errback(error)
            self.assertIs(self.failureResultOf(connected, FlowError).type, expected)

    def test_anUnexpectedFailureIsLogged(self) -> None:
        connected = self.connect("8.8.8.8")
        self.attempts[0][1].errback(ValueError("broken"))
        self.failureResultOf(connected, HopUnavailable)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
