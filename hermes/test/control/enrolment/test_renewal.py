"""
Certificates are renewed before they end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.agent.files import Files
from hermes.control.channel.errors import CallFailed
from hermes.control.channel.methods import Renewed
from hermes.control.enrolment.authority import Authority
from hermes.control.enrolment.controllercert import ControllerCertificate
from hermes.control.enrolment.identity import IdentityFiles, NodeIdentity
from hermes.control.enrolment.renewal import LOOK, TRY_AGAIN, Renewer
from hermes.control.enrolment.requests import requestedKey
from hermes.test.control.portcase import PortCase

DAY = 86400.0


class Signing:
    """
    A controller that signs.
    """

    def __init__(self, authority: Authority, seconds: Callable[[], float]) -> None:
        self.authority = authority
        self.seconds = seconds
        self.asked = 0
        self.answer: Any = None

    def renew(self, request: str) -> Deferred[Renewed]:
        self.asked += 1
        if self.answer is not None:
            answer: Deferred[Renewed] = self.answer()
            return answer
        now = datetime.fromtimestamp(self.seconds(), UTC)
        issued = self.authority.node("edge", requestedKey(request), 90.0, now)
        return succeed(Renewed(issued.text, self.authority.trust))


class Renewals(SynchronousTestCase):
    """
    At a node.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.authority = Authority.make()
        self.files = IdentityFiles(Files(self.mktemp()))
        key = self.files.newKey()
        issued = self.authority.node("edge", key.public_key(), 90.0)
        self.first = self.files.install(key, issued.text, self.authority.trust)
        self.begin = self.first.certificate.not_valid_before_utc.timestamp()
        self.session: Signing | None = Signing(self.authority, self.seconds)
        self.renewed: list[NodeIdentity] = []
        self.skew = 0.0
        self.renewer = Renewer(
            self.clock,
            lambda: self.seconds() + self.skew,
            self.files,
            self.first,
            lambda: self.session,
            self.renewed.append,
        )
        self.renewer.start()
        self.addCleanup(self.end)

    def seconds(self) -> float:
        return self.begin + self.clock.seconds()

    def end(self) -> None:
        self.renewer.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def days(self, count: float) -> None:
        for _ in range(int(count * 24)):
            self.clock.advance(3600)

    def test_when_two_thirds_of_its_life_have_passed(self) -> None:
        self.days(59.9)
        self.assertEqual(self.renewed, [])
        self.days(0.2)
        (found,) = self.renewed
        self.assertEqual(self.files.load(), found)
        self.assertNotEqual(found, self.first)
        self.assertEqual(found.node, "edge")

    def test_as_soon_as_there_is_a_controller(self) -> None:
        session, self.session = self.session, None
        self.days(70)
        self.assertEqual(self.renewed, [])
        self.session = session
        self.renewer.connected()
        self.assertEqual(len(self.renewed), 1)

    def test_one_that_fails_is_tried_again(self) -> None:
        assert self.session is not None
        self.session.answer = lambda: fail(CallFailed("not now"))
        self.days(60.1)
        self.assertGreater(self.session.asked, 0)
        self.session.answer = None
        self.clock.advance(TRY_AGAIN)
        self.assertEqual(len(self.renewed), 1)

    def test_one_for_somebody_else_is_not_used(self) -> None:
        assert self.session is not None

        def other() -> Any:
            key = IdentityFiles(Files(self.mktemp())).newKey()
            return succeed(Renewed(self.authority.node("relay", key.public_key(), 9.0).text, self.authority.trust))

        self.session.answer = other
        self.days(61)
        self.assertEqual(self.renewed, [])
        self.assertEqual(self.files.load(), self.first)

    def test_a_full_disk_leaves_what_there_is(self) -> None:
        def full(*arguments: Any) -> Any:
            raise OSError(28, "No space left on device")

        self.patch(self.files, "newKey", full)
        self.days(85)
        self.assertEqual(self.files.load(), self.first)
        self.assertIn("No space", str(self.renewer.problem))

    def test_near_its_end_the_operator_is_told(self) -> None:
        self.session = None
        self.days(80)
        self.assertIsNone(self.renewer.problem)
        self.days(5)
        self.assertIn("ends in", str(self.renewer.problem))
        self.session = Signing(self.authority, self.seconds)
        self.clock.advance(TRY_AGAIN)
        self.assertIsNone(self.renewer.problem)

    def test_a_clock_that_is_set_is_noticed(self) -> None:
        self.skew = 61 * DAY
        self.assertEqual(self.renewed, [])
        self.clock.advance(LOOK)
        self.assertEqual(len(self.renewed), 1)

    def test_a_clock_that_is_far_ahead_does_not_make_it_hurry(self) -> None:
        self.skew = 70 * DAY
        self.days(1)
        self.assertGreater(len(self.renewed), 1)
        self.assertLessEqual(len(self.renewed), 24)

    def test_none_once_it_was_stopped(self) -> None:
        assert self.session is not None
        waiting: Deferred[Renewed] = Deferred()
        self.session.answer = lambda: waiting
        self.days(61)
        self.renewer.stop()
        self.assertEqual(self.renewed, [])
        self.renewer.connected()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class OverTheChannel(PortCase):
    """
    A node that is connected.
    """

    def test_it_goes_on_with_the_new_one(self) -> None:
        self.port.stop()
        self.port = self.makePort(days=2.0 / 24)
        token = self.wait(self.port.registrar.enrol("edge"))
        changed: list[NodeIdentity] = []
        member, _ = self.member(token, renewed=changed.append)
        self.wait(member.start())
        first = self.wait(self.store.node("edge"))
        # An hour of it lies in the past, since clocks differ.
        self.wires.advance(1.5 * 3600.0, 5.0)
        self.assertEqual(len(changed), 1)
        entry = self.wait(self.store.node("edge"))
        self.assertNotEqual(entry.serial, first.serial)
        self.assertEqual(int(entry.serial, 16), changed[0].certificate.serial_number)
        self.assertIsNotNone(self.port.links.get("edge"))
        assert member.client is not None and member.client.session is not None
        member.client.again()
        self.wires.advance(1.0)
        assert member.client.session is not None
        shown = self.port.links.get("edge")
        assert shown is not None
        peer = shown.broker.transport.getPeerCertificate()
        self.assertEqual(peer.get_serial_number(), changed[0].certificate.serial_number)


class Controllers(SynchronousTestCase):
    """
    A controller's own.
    """

    def test_it_is_signed_anew_before_it_ends_and_used_at_once(self) -> None:
        clock = Clock()
        authority = Authority.make()
        begin = authority.certificate.not_valid_before_utc.timestamp() + 3600
        files = Files(self.mktemp())
        certificate = ControllerCertificate(clock, lambda: begin + clock.seconds(), authority, files, ["localhost"])
        certificate.start()
        credentials = certificate.credentials([b"x"])
        before, context = files.read("controller.pem"), credentials.context()
        for _ in range(19 * 24):
            clock.advance(3600)
        self.assertEqual(files.read("controller.pem"), before)
        for _ in range(3 * 24):
            clock.advance(3600)
        self.assertNotEqual(files.read("controller.pem"), before)
        self.assertIsNot(credentials.context(), context)
        certificate.stop()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_where_it_can_not_be_written_the_old_one_stays(self) -> None:
        clock = Clock()
        authority = Authority.make()
        begin = authority.certificate.not_valid_before_utc.timestamp() + 3600
        files = Files(self.mktemp())
        certificate = ControllerCertificate(clock, lambda: begin + clock.seconds(), authority, files)
        certificate.start()
        credentials = certificate.credentials([b"x"])
        context = credentials.context()

        def full(*arguments: Any) -> Any:
            raise OSError(28, "No space left on device")

        self.patch(files, "write", full)
        for _ in range(25 * 24):
            clock.advance(3600)
        self.assertIs(credentials.context(), context)
        certificate.stop()
