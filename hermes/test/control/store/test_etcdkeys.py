"""
Keys of an etcd, and what its errors mean.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.store.errors import ValueTooLarge
from hermes.control.store.etcd.answers import Denied, EtcdError, Unreached, errorOf
from hermes.control.store.etcd.keys import Keys, after, nameIn, numberIn


class KeysTests(SynchronousTestCase):
    """
    Keys of an etcd.
    """

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
    def test_any_name_is_one_key_and_comes_back(self, name: str) -> None:
        keys = Keys.under("/hermes/")
        key = keys.node(name)
        self.assertEqual(nameIn(key, keys.nodes), name)
        self.assertNotIn(b"/", key.removeprefix(keys.nodes))
        self.assertTrue(keys.nodes <= key < after(keys.nodes))

    @given(st.integers(0, 10**18), st.integers(0, 10**18))
    def test_numbers_are_in_their_order(self, one: int, two: int) -> None:
        keys = Keys.under("/hermes")
        self.assertEqual(keys.head(one) < keys.head(two), one < two)
        self.assertEqual(numberIn(keys.head(one)), one)

    def test_what_a_change_is_about(self) -> None:
        keys = Keys.under("/h")
        told = {keys.head(1): "versions", keys.current: "versions", keys.node("a"): "nodes"}
        told |= {keys.revocation("a"): "nodes", keys.leader: "leader"}
        for key, what in told.items():
            self.assertEqual(keys.watched(key), what)
        for key in (keys.format, keys.seen, keys.state + b"leader/x", b"/other"):
            self.assertIsNone(keys.watched(key))


class AnswersTests(SynchronousTestCase):
    """
    What etcd's errors mean.
    """

    def test_errors(self) -> None:
        cases: list[tuple[dict[str, Any], type[Exception]]] = [
            ({"code": 14, "message": "etcdserver: no leader"}, Unreached),
            ({"code": 8, "message": "etcdserver: too many requests"}, Unreached),
            ({"code": 3, "message": "etcdserver: request is too large"}, ValueTooLarge),
            ({"code": 5, "message": "etcdserver: requested lease not found"}, EtcdError),
            ({"code": 16, "message": "etcdserver: invalid auth token"}, Denied),
            ({"code": 3, "message": "etcdserver: user name is empty"}, Denied),
            ({"grpc_code": 16, "message": "x"}, Denied),
            ({"error": "something"}, Unreached),
            ({}, Unreached),
            ({"code": "x", "message": 7}, Unreached),
        ]
        for answer, kind in cases:
            self.assertIsInstance(errorOf(answer, 500), kind)
