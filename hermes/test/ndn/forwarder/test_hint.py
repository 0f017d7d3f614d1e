"""
Forwarding hints lead on until they have arrived.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.forwarder.hint import Regions, withoutHint
from hermes.ndn.packet.interest import decodeInterest, encodeInterest
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import peekInterest
from hermes.test.ndn.forwarder.forwarding import ForwardingCase, interest, value


class RegionsTests(SynchronousTestCase):
    """
    L{Regions}.
    """

    def test_aPrefixOfOneOfOursHasArrived(self) -> None:
        regions = Regions([value("/net/site"), value("/other")])
        self.assertTrue(regions.reached([value("/net/site")]))
        self.assertTrue(regions.reached([value("/net")]))
        self.assertTrue(regions.reached([value("/x"), value("/other")]))
        self.assertFalse(regions.reached([value("/net/site/deeper"), value("/net/s")]))

    def test_withoutARegionNothingArrives(self) -> None:
        self.assertFalse(Regions().reached([value("/net")]))


class WithoutHintTests(SynchronousTestCase):
    """
    L{withoutHint}.
    """

    @given(
        st.integers(1, 200),
        st.lists(st.integers(1, 60), min_size=1, max_size=10),
        st.none() | st.integers(0, 255),
        st.none() | st.binary(max_size=300),
        st.booleans(),
    )
    def test_allElseStaysAsItWas(
        self, size: int, hints: list[int], hopLimit: int | None, parameters: bytes | None, fresh: bool
    ) -> None:
        name = Name.fromText("/" + "x" * size)
        kwargs = {"mustBeFresh": fresh, "nonce": 7, "hopLimit": hopLimit, "parameters": parameters, "lifetime": 123}
        hint = [Name.fromText("/" + "h" * each) for each in hints]
        bare = withoutHint(peekInterest(encodeInterest(name, hint=hint, **kwargs)))  # type: ignore[arg-type]
        self.assertEqual(bare.wire, encodeInterest(name, **kwargs))  # type: ignore[arg-type]
        self.assertEqual((bare.hint, decodeInterest(bare.wire).hopLimit), ((), hopLimit))


class HintPipelineTests(ForwardingCase):
    """
    Where an Interest with a hint goes.
    """

    options: ClassVar[dict[str, Any]] = {"regions": [value("/here/site")]}

    def test_theFirstNameOfTheHintThatLeadsSomewhereIsFollowed(self) -> None:
        consumer, wrong, right, default = (self.face() for _ in range(4))
        self.route("/data", wrong)
        self.route("/there", right)
        self.route("/", default)
        consumer.express(interest("/data/x", hint=["/nowhere", "/there"]))
        self.assertEqual([len(face.sent) for face in (wrong, right, default)], [0, 1, 0])
        self.assertEqual(right.sent[0].view.hint, (value("/nowhere"), value("/there")))
        consumer.express(interest("/data/y", hint=["/nowhere"]))
        self.assertEqual([len(face.sent) for face in (wrong, right, default)], [0, 1, 1])

    def test_aHintThatLeadsNowhereIsANack(self) -> None:
        consumer, wrong = self.face(), self.face()
        self.route("/data", wrong)
        consumer.express(interest("/data/x", hint=["/nowhere"]))
        self.assertEqual([(sent.what, sent.reason) for sent in consumer.take()], [("nack", 150)])
        self.assertEqual(wrong.sent, [])

    def test_inItsRegionAnInterestGoesOnByItsNameWithoutTheHint(self) -> None:
        consumer, producer, wrong = (self.face() for _ in range(3))
        self.route("/data", producer)
        self.route("/here", wrong)
        consumer.express(interest("/data/x", hint=["/elsewhere", "/here"]))
        self.assertEqual(wrong.sent, [])
        (sent,) = producer.take()
        self.assertEqual((sent.name, sent.view.hint), ("/data/x", ()))

    def test_aNackGoesBackForTheInterestAsItCame(self) -> None:
        """
        The next forwarder has an entry for the Interest with its hint.
        """
        consumer, producer = self.face(), self.face()
        self.route("/data", producer)
        view = interest("/data/x", hint=["/here"])
        consumer.express(view)
        producer.nack(producer.take()[0].view, 150)
        (sent,) = consumer.take()
        self.assertEqual((sent.what, sent.view.hint), ("nack", (value("/here"),)))
        self.assertIdle()
