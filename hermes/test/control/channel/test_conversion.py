"""
From values to what is sent, and back.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.control.channel.conversion import Unconvertible, fromValue, toValue
from hermes.control.channel.jelly import fromJelly, toJelly
from hermes.control.channel.methods import AGENT, NODE, Hello, Prepare, Probes, Report, Welcome
from hermes.control.values import Answer, Health, NodeState, Probe, ProbeResult

STATE = NodeState("edge", True, 7, "d" * 64, True, 8, "a disk is full", "1.0", 12.5, 6, True)
PROBE = Probe("db", "db.hermes:3306", "http", "alice", "/", False, 2.5)


class RoundTrips(SynchronousTestCase):
    """
    What is sent arrives.
    """

    def test_every_kind_of_value(self) -> None:
        for thing, kind in (
            (STATE, NodeState),
            (NodeState("edge"), NodeState),
            (Answer(False, ("one", "two")), Answer),
            (PROBE, Probe),
            (ProbeResult("db", False, "no route", 0.5), ProbeResult),
            (Health(1, 2, None), Health),
            (Prepare(1, None, b"\xff\x00", "d", 30.0), Prepare),
            (Hello((1, 2), STATE, "1.0"), Hello),
            (Hello((1,)), Hello),
            (Welcome(1, "1.0", 5.0, ("a:1", "b:2"), False, ""), Welcome),
            (Probes((PROBE,)), Probes),
            (Report(STATE), Report),
        ):
            sent = fromJelly(toJelly(toValue(thing, kind)))
            self.assertEqual(fromValue(sent, kind), thing)

    def test_results_that_are_no_classes(self) -> None:
        self.assertEqual(fromValue(toValue(("a", "b"), tuple[str, ...]), AGENT["logs"].gives), ("a", "b"))
        status = {"flows": 3, "upstreams": [{"name": "relay"}]}
        self.assertEqual(fromValue(toValue(status, AGENT["status"].gives), AGENT["status"].gives), status)
        self.assertIs(fromValue(True, AGENT["drain"].gives), True)

    def test_all_arguments_have_defaults_or_are_in_the_first_version(self) -> None:
        """
        What is added later must be: an older peer does not send it.
        """
        first = {
            "prepare": "version base config digest decide",
            "commit": "version",
            "confirm": "version",
            "rollback": "version",
            "drain": "timeout",
            "status": "",
            "health": "",
            "logs": "count",
            "probe": "probes",
            "revoked": "serials",
            "state": "state",
            "events": "",
            "renew": "request",
            "ping": "",
        }
        for name, method in {**AGENT, **NODE}.items():
            required = [each.name for each in method.takes.__attrs_attrs__ if each.default is _nothing()]
            self.assertEqual(" ".join(required), first[name])


def _nothing() -> Any:
    from attrs import NOTHING

    return NOTHING


class Newer(SynchronousTestCase):
    """
    The peer has other software.
    """

    def test_what_is_not_known_is_passed_over(self) -> None:
        self.assertEqual(fromValue({"ready": True, "reasons": [], "mood": "fine"}, Answer), Answer(True))

    def test_what_is_left_out_has_its_default(self) -> None:
        self.assertEqual(fromValue({"name": "edge"}, NodeState), NodeState("edge"))


class Wrong(SynchronousTestCase):
    """
    What is something else.
    """

    def test_nothing_is_converted(self) -> None:
        for value, kind in (
            ({"ready": "yes"}, Answer),
            ({"ready": 1}, Answer),
            ({"ready": True, "reasons": "text"}, Answer),
            ({"ready": True, "reasons": {"a": 1}}, Answer),
            ({"ready": True, "reasons": [1]}, Answer),
            ({}, Answer),
            ([], Answer),
            (None, Answer),
            ({"opened": True}, Health),
            ({"opened": 1.5}, Health),
            ({"opened": "1"}, Health),
            ({"name": b"edge"}, NodeState),
            ({"name": "edge", "runs": "7"}, NodeState),
            ({"name": "edge", "seen": float("nan")}, NodeState),
            ({"name": "edge", "seen": "1"}, NodeState),
            ({"name": "a", "target": "b:1", "protocol": "smtp"}, Probe),
            ({"version": 1, "base": None, "config": "text", "digest": "", "decide": 1}, Prepare),
            ([["a"]], AGENT["status"].gives),
            (1, AGENT["drain"].gives),
        ):
            self.assertRaises(Unconvertible, fromValue, value, kind)

    def test_numbers_may_be_whole(self) -> None:
        self.assertEqual(fromValue({"name": "edge", "seen": 3}, NodeState).seen, 3.0)

    def test_what_is_told_holds_nothing_that_JSON_does_not(self) -> None:
        json.dumps(toValue(STATE, NodeState))
