"""
Calls between two brokers.
"""

from __future__ import annotations

import gc
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
from twisted.spread import pb

from hermes.control.channel import transfers
from hermes.control.channel.broker import CLOSE_TIME
from hermes.control.channel.errors import (
    BadCall,
    CallFailed,
    CallTimeout,
    ChannelLost,
    NoSuchMethod,
    NoSuchObject,
    NotAllowed,
    TooLarge,
)
from hermes.control.channel.pages import Pages
from hermes.test.control.channel.brokercase import SMALL, BrokerCase, Recorder


class Calls(BrokerCase):
    """
    Calls and answers.
    """

    def test_values_cross_both_ways(self) -> None:
        client, _ = self.pair()
        value: Any = {
            "text": "é",
            "bytes": b"\xff",
            "numbers": [1, -2.5, 2**80],
            "none": None,
            "yes": True,
            "deep": [[{}]],
        }
        self.assertEqual(self.ask(client, "echo", value=value), value)

    def test_an_answer_may_come_later(self) -> None:
        client, _ = self.pair()
        later: Deferred[Any] = Deferred()
        self.recorder.answers["x"] = later
        asked = client.call(client.root, "answer", {"name": "x"})
        self.wires.flush()
        self.assertNoResult(asked)
        later.callback("at last")
        self.assertEqual(self.result(asked), "at last")

    def test_answers_come_in_any_order(self) -> None:
        client, _ = self.pair()
        first: Deferred[Any] = Deferred()
        self.recorder.answers["x"] = first
        one = client.call(client.root, "answer", {"name": "x"})
        self.assertEqual(self.ask(client, "echo", value=2), 2)
        first.callback(1)
        self.assertEqual(self.result(one), 1)

    def test_an_object_can_be_handed_over_and_called(self) -> None:
        client, server = self.pair()
        handed = Recorder()
        self.recorder.answers["object"] = handed
        reference, with_ = self.ask(client, "hand")
        self.assertEqual(with_, {"with": "it"})
        self.assertEqual(self.result(client.call(reference, "echo", {"value": 5})), 5)
        self.assertEqual([call.values for call in handed.calls], [{"value": 5}])
        self.assertIs(server.local(reference.luid), handed)

    def test_the_server_can_call_an_object_of_the_client(self) -> None:
        client, server = self.pair()
        mine = Recorder()
        self.result(client.call(client.root, "echo", {"value": 1}, objects=(mine,)))
        (reference,) = self.recorder.calls[0].references
        self.assertEqual(self.result(server.call(reference, "echo", {"value": 7})), 7)
        self.assertEqual(mine.calls[0].values, {"value": 7})

    def test_an_object_is_let_go_with_its_reference(self) -> None:
        client, server = self.pair()
        self.recorder.answers["object"] = Recorder()
        reference, _ = self.ask(client, "hand")
        again, _ = self.ask(client, "hand")
        number = reference.luid
        del reference
        gc.collect()
        self.wires.flush()
        self.assertIsNotNone(server.local(number))
        del again
        gc.collect()
        self.wires.flush()
        self.assertIsNone(server.local(number))
        self.assertEqual(self.refusals.counts, {})


class Errors(BrokerCase):
    """
    What crosses of an error.
    """

    def test_a_chosen_text_crosses_with_its_name(self) -> None:
        client, server = self.pair()
        self.recorder.answers["x"] = TooLarge("more than that")
        asked = client.call(client.root, "answer", {"name": "x"})
        self.assertEqual(self.refused(asked, TooLarge), "more than that")
        self.assertFalse(server.gone)

    def test_nothing_crosses_of_any_other(self) -> None:
        client, _ = self.pair()
        for number, error in enumerate((ValueError("/etc/secret"), KeyError("secret"), pb.Error("secret"))):
            for answer in (error, fail(error)):
                self.recorder.answers["x"] = answer
                asked = client.call(client.root, "answer", {"name": "x"})
                sent = self.refused(asked, CallFailed)
                self.assertNotIn("secret", sent)
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 2, number)

    def test_a_result_that_is_no_value_is_a_mistake_of_the_server(self) -> None:
        client, _ = self.pair()
        for wrong in (object(), succeed({1, 2})):
            self.recorder.answers["x"] = wrong
            self.refused(client.call(client.root, "answer", {"name": "x"}), CallFailed)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 2)

    def test_there_is_no_such_method(self) -> None:
        client, server = self.pair()
        self.assertIn("'nothing'", self.refused(client.call(client.root, "nothing"), NoSuchMethod))
        self.assertFalse(server.gone)

    def test_what_begins_with_an_underscore_or_is_an_attribute_is_no_method(self) -> None:
        client, _ = self.pair()
        for name in ("_echo", "__init__", "handlers", "remoteMessageReceived", "jellyFor"):
            self.refused(client.call(client.root, name), NoSuchMethod)

    def test_there_is_no_such_object(self) -> None:
        client, _ = self.pair()
        for number in (7, b"other"):
            self.refused(client.call(pb.RemoteReference(None, client, number, 0), "echo"), NoSuchObject)

    def test_an_error_that_ends_the_connection_is_told_first(self) -> None:
        client, server = self.pair()
        for error in (NotAllowed("not you"), BadCall("not so")):
            client, server = self.pair()
            self.recorder.answers["x"] = error
            asked = client.call(client.root, "answer", {"name": "x"})
            other = client.call(client.root, "echo", {"value": 1})
            self.assertEqual(self.refused(asked, type(error)), str(error))
            self.refused(other, ChannelLost)
            self.assertTrue(server.gone)
        self.assertEqual(self.refusals.counts, {"NotAllowed": 1, "BadCall": 1})

    def test_an_error_that_is_not_known_is_a_failure(self) -> None:
        client, _ = self.pair()

        class Newer(NotAllowed):
            """
            Came later.
            """

            wireName = "hermes.Newer"
            ends = False

        self.recorder.answers["x"] = Newer("of another kind")
        asked = client.call(client.root, "answer", {"name": "x"})
        self.assertEqual(self.refused(asked, CallFailed), "of another kind")


class Ends(BrokerCase):
    """
    No call hangs.
    """

    def test_a_lost_connection_fails_what_waits(self) -> None:
        client, server = self.pair()
        self.recorder.answers["x"] = Deferred()
        asked = client.call(client.root, "answer", {"name": "x"})
        self.wires.flush()
        server.cut()
        self.assertIn("answer", self.refused(asked, ChannelLost))

    def test_a_call_without_a_connection_fails_at_once(self) -> None:
        client, _ = self.pair()
        client.cut()
        self.failureResultOf(client.call(client.root, "echo"), ChannelLost)
        self.wires.flush()
        self.failureResultOf(client.call(client.root, "echo"), ChannelLost)

    def test_a_call_that_is_not_answered_fails_in_time(self) -> None:
        client, server = self.pair()
        later: Deferred[Any] = Deferred()
        self.recorder.answers["x"] = later
        asked = client.call(client.root, "answer", {"name": "x"}, timeout=5.0)
        self.wires.advance(4.0)
        self.assertNoResult(asked)
        self.wires.advance(1.0)
        self.failureResultOf(asked, CallTimeout)
        later.callback("too late")
        self.wires.flush()
        self.assertFalse(client.gone or server.gone)
        self.assertEqual(self.ask(client, "echo", value=1), 1)

    def test_a_call_can_be_cancelled(self) -> None:
        client, _ = self.pair()
        later: Deferred[Any] = Deferred()
        self.recorder.answers["x"] = later
        asked = client.call(client.root, "answer", {"name": "x"})
        asked.addErrback(lambda _: None)
        self.wires.flush()
        asked.cancel()
        later.callback("too late")
        self.assertEqual(self.ask(client, "echo", value=1), 1)

    def test_a_connection_that_is_lost_before_the_negotiation_is_told(self) -> None:
        client, server = self.makeClient(), self.makeServer()
        self.wires.listening["server"] = type("F", (), {"buildProtocol": lambda self, addr: server})()
        end = self.wires.connect("server", client)
        assert end is not None
        end.abortConnection()
        self.wires.flush()
        for broker in client, server:
            self.failureResultOf(broker.ready, ChannelLost)
            self.successResultOf(broker.lost)

    def test_too_many_calls_of_ours_fail(self) -> None:
        self.limits = evolve(SMALL, asked=3, calls=10)
        client, _ = self.pair()
        self.recorder.answers["x"] = Deferred()
        waiting = [client.call(client.root, "answer", {"name": "x"}) for _ in range(3)]
        self.failureResultOf(client.call(client.root, "echo"), CallFailed)
        for each in waiting:
            each.addErrback(lambda _: None)

    def test_closing_sends_what_was_written(self) -> None:
        client, server = self.pair()
        asked = client.call(client.root, "echo", {"value": 1})
        client.close()
        self.refused(asked, ChannelLost)
        self.assertEqual(len(self.recorder.calls), 1)
        self.assertTrue(server.gone)

    def test_a_peer_that_does_not_close_is_cut_off(self) -> None:
        client, server = self.pair()
        client.transport.dropping = True
        self.patch(client.transport, "loseConnection", lambda: None)
        client.close()
        self.wires.advance(CLOSE_TIME - 1)
        self.assertFalse(client.gone)
        self.wires.advance(1.0)
        self.assertTrue(client.gone)
        server.cut()


class Paged(BrokerCase):
    """
    What is too large for a message.
    """

    LARGE = b"0123456789" * 5000

    def test_results(self) -> None:
        client, server = self.pair()
        self.recorder.answers["x"] = [self.LARGE, {"and": "more"}]
        self.assertEqual(self.ask(client, "answer", name="x"), [self.LARGE, {"and": "more"}])
        gc.collect()
        self.wires.flush()
        self.assertEqual(len(server.localObjects), 1)

    def test_arguments(self) -> None:
        client, server = self.pair()
        self.assertEqual(self.ask(client, "echo", value=[self.LARGE]), [self.LARGE])
        gc.collect()
        self.wires.flush()
        self.assertEqual((len(server.localObjects), len(client.localObjects)), (1, 0))

    def test_several_at_once_as_far_as_they_fit(self) -> None:
        self.limits = evolve(SMALL, total=200_000)
        client, _ = self.pair()
        asked = [client.call(client.root, "echo", {"value": [number, self.LARGE]}) for number in range(3)]
        for number, each in enumerate(asked):
            self.assertEqual(self.result(each), [number, self.LARGE])

    def test_no_message_is_larger_than_a_page_and_a_bit(self) -> None:
        client, server = self.pair()
        sizes: list[int] = []

        def counting(write: Any) -> Any:
            def count(data: bytes) -> None:
                sizes.append(len(data))
                write(data)

            return count

        for broker in client, server:
            self.patch(broker.transport, "write", counting(broker.transport.write))
        self.ask(client, "echo", value=self.LARGE)
        self.assertLess(max(sizes), SMALL.page + 200)
        self.assertGreater(sum(sizes), 2 * len(self.LARGE))

    def test_what_is_too_large_is_not_sent(self) -> None:
        client, server = self.pair()
        self.failureResultOf(client.call(client.root, "echo", {"value": b"x" * 70_000}), TooLarge)
        self.recorder.answers["x"] = b"x" * 70_000
        self.refused(client.call(client.root, "answer", {"name": "x"}), TooLarge)
        self.assertFalse(client.gone or server.gone)

    def test_what_is_too_large_is_not_taken(self) -> None:
        client, server = self.pair()
        client.limits = server.limits
        client._transfers.limits = evolve(SMALL, total=1_000_000)
        written = client.transport.written
        self.refused(client.call(client.root, "echo", {"value": b"x" * 70_000}), TooLarge)
        self.assertLess(client.transport.written - written, 1000)
        self.assertFalse(server.gone)

    def test_what_arrives_is_what_was_sent(self) -> None:
        client, _ = self.pair()
        self.recorder.answers["x"] = self.LARGE
        asked = client.call(client.root, "answer", {"name": "x"})

        class Other(Pages):
            """
            Somebody has changed a bit.
            """

            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                self.digest = "0" * 64

        self.patch(transfers, "Pages", Other)
        self.assertIn("digest", self.refused(asked, BadCall))

    def test_what_nobody_fetches_is_let_go(self) -> None:
        client, server = self.pair()
        self.recorder.answers["x"] = self.LARGE
        asked = client.call(client.root, "answer", {"name": "x"})
        asked.addErrback(lambda _: None)
        asked.cancel()
        self.wires.flush()
        self.assertGreater(server._transfers._keptBytes, 0)
        self.wires.advance(2 * SMALL.pageTime, 10.0)
        self.assertEqual(server._transfers._keptBytes, 0)

    def test_a_page_that_does_not_come_fails_the_call(self) -> None:
        client, _ = self.pair()
        self.recorder.answers["x"] = self.LARGE
        asked = client.call(client.root, "answer", {"name": "x"})

        class Silent(Pages):
            """
            Gives none.
            """

            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                self.handlers = {"page": lambda call: Deferred(), "done": lambda call: None}

        self.patch(transfers, "Pages", Silent)
        self.wires.flush()
        self.assertNoResult(asked)
        self.wires.advance(SMALL.pageTime, 10.0)
        self.failureResultOf(asked, CallTimeout)
