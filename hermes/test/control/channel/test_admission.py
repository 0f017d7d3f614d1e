"""
How many strangers are attended to at once.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.channel.admission import Admission, AdmissionLimits, Visitor, sourceOf


class Visitors(SynchronousTestCase):
    """
    They come and go.
    """

    def setUp(self) -> None:
        self.admission = Admission(AdmissionLimits(most=3, perSource=2, waiting=2))
        self.begun: list[str] = []

    def visit(self, name: str, source: str) -> tuple[Visitor, bool]:
        visitor = Visitor(source, lambda: self.begun.append(name))
        return visitor, self.admission.enter(visitor)

    def test_one_source_has_so_many(self) -> None:
        for name in "abc":
            self.assertTrue(self.visit(name, "x")[1])
        self.assertEqual(self.begun, ["a", "b"])

    def test_all_have_so_many(self) -> None:
        for name in "abcd":
            self.visit(name, name)
        self.assertEqual(self.begun, ["a", "b", "c"])

    def test_those_who_wait_follow_those_who_leave(self) -> None:
        first, _ = self.visit("a", "x")
        for name in "bcd":
            self.visit(name, name)
        self.admission.leave(first)
        self.assertEqual(self.begun, ["a", "b", "c", "d"])

    def test_a_source_that_waits_does_not_hold_up_another(self) -> None:
        self.visit("a", "x")
        self.visit("b", "x")
        other, _ = self.visit("c", "y")
        self.visit("d", "x")
        self.visit("e", "z")
        self.admission.leave(other)
        self.assertEqual(self.begun, ["a", "b", "c", "e"])

    def test_more_are_turned_away(self) -> None:
        for name in "abcd":
            self.visit(name, "x")
        self.assertFalse(self.visit("e", "x")[1])

    def test_who_gives_up_while_it_waits_is_not_called(self) -> None:
        first, _ = self.visit("a", "x")
        self.visit("b", "x")
        third, _ = self.visit("c", "x")
        self.admission.leave(third)
        self.admission.leave(first)
        self.assertEqual(self.begun, ["a", "b"])

    def test_leaving_twice_is_leaving_once(self) -> None:
        first, _ = self.visit("a", "x")
        self.visit("b", "x")
        self.visit("c", "x")
        self.visit("d", "x")
        self.admission.leave(first)
        self.admission.leave(first)
        self.assertEqual(self.begun, ["a", "b", "c"])

    @given(st.lists(st.tuples(st.booleans(), st.sampled_from("xyz"), st.integers(0, 10))))
    def test_the_bounds_hold_and_nobody_is_forgotten(self, steps: list[tuple[bool, str, int]]) -> None:
        limits = AdmissionLimits(most=3, perSource=2, waiting=4)
        admission = Admission(limits)
        here: list[Visitor] = []
        for enters, source, which in steps:
            if enters:
                visitor = Visitor(source, lambda: None)
                if admission.enter(visitor):
                    here.append(visitor)
            elif here:
                admission.leave(here.pop(which % len(here)))
            inside = [each.source for each in here if each.inside]
            waiting = [each.source for each in here if not each.inside]
            self.assertLessEqual(len(inside), limits.most)
            self.assertTrue(all(inside.count(each) <= limits.perSource for each in "xyz"))
            self.assertLessEqual(len(waiting), limits.waiting)
            if len(inside) < limits.most:
                self.assertTrue(all(inside.count(each) == limits.perSource for each in waiting))


class Sources(SynchronousTestCase):
    """
    What counts as one source.
    """

    def test_an_IPv4_address_however_it_is_written(self) -> None:
        one = sourceOf(IPv4Address("TCP", "192.0.2.1", 1))
        self.assertEqual(sourceOf(IPv4Address("TCP", "192.0.2.1", 2)), one)
        self.assertEqual(sourceOf(IPv6Address("TCP", "::ffff:192.0.2.1", 3)), one)
        self.assertNotEqual(sourceOf(IPv4Address("TCP", "192.0.2.2", 1)), one)

    def test_64_bits_of_an_IPv6_address(self) -> None:
        one = sourceOf(IPv6Address("TCP", "2001:db8::1", 1))
        self.assertEqual(sourceOf(IPv6Address("TCP", "2001:db8::ffff:1", 1)), one)
        self.assertNotEqual(sourceOf(IPv6Address("TCP", "2001:db8:0:1::1", 1)), one)

    def test_what_has_no_address(self) -> None:
        self.assertIsNone(sourceOf(UNIXAddress("/run/x")))
