"""
The tests in the overlay document, tried on what the nodes would run.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from hermes.control.compiler import Compiled
from hermes.control.document import OverlayDocument
from hermes.control.document.schema import TestEntry
from hermes.control.explaining import Explainer, Question, Unasked


@frozen
class Verdict:
    """
    What came of one thing that a test asks.

    @ivar number: the test's place in the document, from 0.
    @ivar text: what was asked, in words.
    @ivar passed: whether it is as the test says.
    @ivar why: what happens to it, in words.
    """

    number: int
    text: str
    passed: bool
    why: str


def judge(document: OverlayDocument, compiled: Compiled) -> list[Verdict]:
    """
    Try all tests. Where a node's configuration is none, there is nothing to try: C{compiled.problems} says why.
    """
    explainer = Explainer(compiled)
    return [verdict for number, test in enumerate(document.config.tests) for verdict in _test(number, test, explainer)]


def _test(number: int, test: TestEntry, explainer: Explainer) -> Iterator[Verdict]:
    who = test.user or "somebody without a name"
    for expected, destinations in ((True, test.can), (False, test.cannot)):
        for destination in destinations:
            question = Question(destination, test.user, test.packets)
            for node in test.at or explainer.entrances():
                text = f"{who} {'can' if expected else 'cannot'} reach {destination} from {node}"
                try:
                    found = explainer.may(question, node)
                except Unasked as error:
                    yield Verdict(number, text, False, str(error))
                    continue
                why = f"{' > '.join(found.path)}: {found.end}"
                yield Verdict(number, text, found.allowed == expected, why)
