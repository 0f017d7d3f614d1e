"""
A peer that does not keep to the protocol loses its connection, is counted, and costs little.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.channel.banana import encode
from hermes.control.channel.broker import ControlBroker
from hermes.control.channel.counts import Refusals
from hermes.test.control.channel.brokercase import SMALL, BrokerCase, Recorder
from hermes.test.control.channel.wires import WireEnd

NO_ARGUMENTS = [[b"tuple"], [b"dictionary"]]


class Raw(Protocol):
    """
    Writes what it is told to, and reads everything.
    """

    transport: Any

    def __init__(self) -> None:
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data


class HostileBytes(BrokerCase):
    """
    To a server.
    """

    trusted = True

    def raw(self, negotiate: bool = True) -> tuple[Raw, ControlBroker]:
        """
        A peer that is no broker.
        """
        raw, server = Raw(), self.makeServer(self.trusted)
        server.ready.addErrback(lambda _: None)
        self.connect(raw, server)
        if negotiate:
            self.send(raw, b"pb", [b"version", 6])
            self.assertFalse(server.gone)
        return raw, server

    def send(self, raw: Raw, *expressions: Any) -> None:
        """
        Send these, encoded.
        """
        self.sendBytes(raw, b"".join(map(encode, expressions)))

    def sendBytes(self, raw: Raw, data: bytes) -> None:
        raw.transport.write(data)
        self.wires.flush()

    def cut(self, kind: str, *expressions: Any) -> None:
        """
        Whoever sends these after the negotiation is cut off, and counted.
        """
        before = self.refusals.counts[kind]
        raw, server = self.raw()
        self.send(raw, *expressions)
        self.assertTrue(server.gone and raw.transport.disconnected, expressions)
        self.assertEqual(self.refusals.counts[kind], before + 1)
        self.assertEqual(self.recorder.calls, [])


class Malformed(HostileBytes):
    """
    What is no message.
    """

    def test_garbage(self) -> None:
        for garbage in (b"\xff", b"GET / HTTP/1.1\r\n\r\n" * 10, b"\x01" * 65, b"\x16\x03\x01\x02\x00\x01\xfc"):
            raw, server = self.raw(negotiate=False)
            self.sendBytes(raw, garbage)
            self.assertTrue(server.gone, garbage)
        self.assertEqual(self.refusals.counts, {"malformed": 4})

    def test_another_dialect(self) -> None:
        dialects: list[Any] = [b"none", b"", 5, [b"pb"], [[]]]
        for dialect in dialects:
            raw, server = self.raw(negotiate=False)
            self.send(raw, dialect)
            self.assertTrue(server.gone)

    def test_another_version(self) -> None:
        self.cut("malformed", [b"version", 5])

    def test_what_is_no_list(self) -> None:
        self.cut("malformed", 5)
        self.cut("malformed", b"message")
        self.cut("malformed", [])
        self.cut("malformed", [[b"message"]])

    def test_messages_that_are_not_spoken_here(self) -> None:
        for command in (b"cachemessage", b"decache", b"uncache", b"didNotUnderstand", b"login", b"__init__", b"error"):
            self.cut("malformed", [command, 1])

    def test_messages_of_another_length(self) -> None:
        self.cut("malformed", [b"message", 1, b"root", b"echo", 1, [b"tuple"]])
        self.cut("malformed", [b"version"])
        self.cut("malformed", [b"answer", 1])

    def test_calls_with_arguments_that_are_none(self) -> None:
        for arguments in (
            ([b"tuple"], [b"list"]),
            ([b"tuple"], 5),
            ([b"tuple", 5], [b"dictionary"]),
            ([b"tuple", [b"remote", b"root"]], [b"dictionary"]),
            ([b"tuple", [b"remote"]], [b"dictionary"]),
            ([b"tuple", [b"remote", [1]]], [b"dictionary"]),
            (5, [b"dictionary"]),
            ([], [b"dictionary"]),
            ([b"tuple"], [b"dictionary", [b"value", [b"module", b"os"]]]),
            ([b"tuple"], [b"dictionary", [b"value", [b"twisted.spread.pb.CopyableFailure", [b"dictionary"]]]]),
            ([b"tuple"], [b"dictionary", [b"value", [b"remote", 1]]]),
        ):
            self.cut("malformed", [b"message", 1, b"root", b"echo", 1, *arguments])

    def test_calls_with_a_name_or_a_number_that_is_none(self) -> None:
        self.cut("malformed", [b"message", b"one", b"root", b"echo", 1, *NO_ARGUMENTS])
        self.cut("malformed", [b"message", 1, [b"root"], b"echo", 1, *NO_ARGUMENTS])
        self.cut("malformed", [b"message", 1, b"root", [b"echo"], 1, *NO_ARGUMENTS])

    def test_answers_to_nothing(self) -> None:
        self.cut("answer", [b"answer", 1, 5])
        self.cut("answer", [b"error", 1, [b"unicode", b"x"]])
        self.cut("answer", [b"answer", [1], 5])

    def test_letting_go_of_nothing(self) -> None:
        numbers: list[Any] = [1, b"root", [], -1]
        for number in numbers:
            self.cut("malformed", [b"decref", number])

    def test_an_answer_that_is_none_or_an_error_that_is_none(self) -> None:
        failure = b"twisted.spread.pb.CopyableFailure"
        for answer in (
            [b"answer", 1, [b"class", b"os.system"]],
            [b"error", 1, [b"unicode", b"x"]],
            [b"error", 1, [failure, [b"dictionary"]]],
            [b"error", 1, [failure, [b"dictionary", [[b"unicode", b"type"], [b"module", b"os"]]]]],
            [b"error", 1, [b"os.system", [b"dictionary"]]],
        ):
            raw, server = self.raw()
            asked = server.call(server.root, "echo")
            asked.addErrback(lambda _: None)
            self.send(raw, answer)
            self.assertTrue(server.gone, answer)


class Large(HostileBytes):
    """
    More than is taken.
    """

    def test_an_expression(self) -> None:
        self.cut("malformed", b"x" * (SMALL.message + 1))
        self.cut("malformed", [b"x" * 1000] * 10)

    def test_it_is_cut_off_before_it_has_sent_it(self) -> None:
        raw, server = self.raw()
        self.sendBytes(raw, encode(b"x" * 1_000_000)[:10])
        self.assertTrue(server.gone)

    def test_nesting(self) -> None:
        self.cut("malformed", *[[[[]]]] * 1)
        raw, server = self.raw()
        self.sendBytes(raw, b"\x01\x80" * 100)
        self.assertTrue(server.gone)

    def test_many_items(self) -> None:
        self.limits = evolve(SMALL, items=1000)
        self.cut("malformed", [[]] * 1001)

    def test_more_calls_than_may_be_unanswered(self) -> None:
        self.limits = evolve(SMALL, calls=5)
        self.recorder.answers["x"] = Deferred()
        raw, server = self.raw()
        name = [b"dictionary", [[b"unicode", b"name"], [b"unicode", b"x"]]]
        call = [b"message", 1, b"root", b"answer", 1, [b"tuple"], name]
        self.send(raw, *[call] * 5)
        self.assertFalse(server.gone)
        self.send(raw, call)
        self.assertTrue(server.gone)
        self.assertEqual(self.refusals.counts["calls"], 1)

    def test_calls_that_want_no_answer_count_too(self) -> None:
        self.limits = evolve(SMALL, calls=5)
        self.recorder.answers["x"] = Deferred()
        raw, server = self.raw()
        name = [b"dictionary", [[b"unicode", b"name"], [b"unicode", b"x"]]]
        self.send(raw, *[[b"message", 1, b"root", b"answer", 0, [b"tuple"], name]] * 6)
        self.assertTrue(server.gone)

    def test_a_peer_that_reads_nothing(self) -> None:
        self.limits = evolve(SMALL, unread=10_000, inline=5000)
        raw, server = self.raw()
        raw.transport.paused = True
        value = [b"dictionary", [[b"unicode", b"value"], b"x" * 3000]]
        for _ in range(10):
            self.send(raw, [b"message", 1, b"root", b"echo", 1, [b"tuple"], value])
        raw.transport.paused = False
        self.wires.flush()
        self.assertTrue(server.gone)
        self.assertEqual(self.refusals.counts, {"unread": 1})
        self.assertEqual(len(self.recorder.calls), 4)

    def test_a_peer_that_lets_go_of_nothing(self) -> None:
        self.limits = evolve(SMALL, objects=10)
        raw, server = self.raw()

        class Other(Recorder):
            """
            Each one is another.
            """

        self.recorder.handlers = {"hand": lambda call: [Other(), 1]}
        self.send(raw, *[[b"message", 1, b"root", b"hand", 1, *NO_ARGUMENTS]] * 10)
        self.assertFalse(server.gone)
        self.send(raw, [b"message", 1, b"root", b"hand", 1, *NO_ARGUMENTS])
        self.assertTrue(server.gone)
        self.assertEqual(self.refusals.counts, {"objects": 1})

    def test_pages_that_are_too_many(self) -> None:
        """
        The error is told, and nothing was fetched.
        """
        raw, server = self.raw()
        paged = [b"tuple", [b"remote", 7], SMALL.total + 1, [b"unicode", b"0" * 64]]
        self.send(raw, [b"message", 1, b"root", b"echo", 1, paged, [b"dictionary"]])
        self.assertIn(b"hermes.TooLarge", raw.received)
        self.assertNotIn(b"page", raw.received)
        self.assertFalse(server.gone)

    def test_pages_in_several_calls_that_are_too_many_together(self) -> None:
        raw, _ = self.raw()
        paged = [b"tuple", [b"remote", 7], SMALL.total - 1, [b"unicode", b"0" * 64]]
        for request in range(3):
            self.send(raw, [b"message", request, b"root", b"echo", 1, paged, [b"dictionary"]])
        self.assertEqual(raw.received.count(b"bytes are more than"), 2)

    def test_pages_that_hold_what_is_no_value(self) -> None:
        for data in (encode([b"module", b"os"]), encode(5) + encode(6), encode([b"list"])[:-1], b"\xff\xff"):
            raw, server = self.raw()
            self._serve(raw, data)
            self.assertIn(b"hermes.BadCall", raw.received)
            self.assertTrue(server.gone)

    def test_pages_of_another_size(self) -> None:
        raw, server = self.raw()
        self._serve(raw, b"x" * 1000, answer=b"y" * 10)
        self.assertIn(b"hermes.BadCall", raw.received)
        self.assertTrue(server.gone)

    def _serve(self, raw: Raw, data: bytes, answer: bytes | None = None) -> None:
        """
        Call with arguments in pages, and answer the first of these.
        """
        digest = sha256(data).hexdigest().encode()
        paged = [b"tuple", [b"remote", 7], len(data), [b"unicode", digest]]
        self.send(raw, [b"message", 1, b"root", b"echo", 1, paged, [b"dictionary"]])
        self.assertIn(b"page", raw.received)
        self.send(raw, [b"answer", 1, data if answer is None else answer])


class BeforeItIsKnown(HostileBytes):
    """
    A peer that nobody knows yet.
    """

    trusted = False

    def test_it_may_send_less(self) -> None:
        self.cut("malformed", b"x" * (SMALL.firstMessage + 1))

    def test_and_as_much_as_others_afterwards(self) -> None:
        raw, server = self.raw()
        server.trust()
        value = [b"dictionary", [[b"unicode", b"value"], b"x" * (SMALL.firstMessage + 1)]]
        self.send(raw, [b"message", 1, b"root", b"echo", 1, [b"tuple"], value])
        self.assertEqual(len(self.recorder.calls), 1)
        self.assertFalse(server.gone)


class Noise(SynchronousTestCase):
    """
    Whatever arrives, nothing is raised, and nothing is logged but a sentence.
    """

    MESSAGES = st.one_of(
        st.lists(
            st.one_of(
                st.sampled_from([b"message", b"answer", b"error", b"decref", b"version", b"root", b"echo"]),
                st.integers(-2, 10),
                st.lists(
                    st.one_of(
                        st.sampled_from([b"tuple", b"dictionary", b"list", b"remote", b"unicode"]),
                        st.integers(0, 9),
                        st.lists(st.binary(max_size=5), max_size=3),
                    ),
                    max_size=4,
                ),
            ),
            max_size=8,
        ).map(encode),
        st.binary(max_size=60),
    )

    @given(st.lists(MESSAGES, max_size=6), st.booleans())
    @settings(max_examples=300)
    def test_it_is_taken_or_cut_off(self, messages: list[bytes], isClient: bool) -> None:
        clock, refusals = Clock(), Refusals()
        broker = ControlBroker(isClient, clock, refusals, SMALL, Recorder())
        broker.ready.addErrback(lambda _: None)
        wires: Any = type("W", (), {"later": lambda self, call: None})()
        end, other = WireEnd(wires, "192.0.2.1", "192.0.2.2"), WireEnd(wires, "192.0.2.2", "192.0.2.1")
        end.other, other.other = other, end
        broker.makeConnection(end)
        broker.dataReceived(encode([b"pb"] if isClient else b"pb"))
        for message in messages:
            if broker.gone:
                break
            broker.dataReceived(message)
        self.assertEqual(self.flushLoggedErrors(), [])
