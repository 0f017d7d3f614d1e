"""
An origin in memory that knows ranges, and what it may do wrong.
"""

from __future__ import annotations

from attrs import define, field
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from hermes.errors import RequestBroken, TargetRefused
from hermes.http.ranges import parseRange
from hermes.interfaces import IBodySink, IRequestSender
from hermes.messages import Request, Response
from hermes.test.http.delivery import FakeBody, response
from hermes.values import Headers

DATE = (b"date", b"Sun, 06 Nov 1994 08:49:37 GMT")


class CutBody(FakeBody):
    """
    Delivers pieces as soon as it is read, and then ends, or fails.
    """

    def __init__(self, data: bytes, whole: bool, piece: int) -> None:
        super().__init__(length=len(data))
        self._pieces = [data[start : start + piece] for start in range(0, len(data), piece)]
        self._whole = whole

    def start(self, sink: IBodySink) -> None:
        super().start(sink)
        self._deliver()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        self._deliver()

    def _deliver(self) -> None:
        while self._pieces and not self.paused and not self.stopped:
            self.give(self._pieces.pop(0))
        if not self._pieces and not self.paused and not self.stopped:
            self.stopped = True
            if self._whole:
                self.end()
            else:
                self.fail(RequestBroken("cut"))


@define
class Behaviour:
    """
    How an origin answers one request.

    @ivar cut: after how many bytes its body is cut short; L{None} for never.
    @ivar changes: there is another representation before it answers.
    @ivar fails: it does not answer.
    @ivar fault: what it does wrong.
    """

    cut: int | None = None
    changes: bool = False
    fails: bool = False
    fault: str = ""


@implementer(IRequestSender)
@define(eq=False, slots=False)
class RangeOrigin:
    """
    An origin that knows ranges.

    @ivar versions: its representations, one after the other.
    @ivar behaviours: for each request; after them, it answers in full.
    @ivar validator: the field that it sends for a version.
    @ivar lengths: whether it says how long a body is.
    """

    versions: list[bytes]
    behaviours: list[Behaviour] = field(factory=list)
    validator: str = "etag"
    lengths: bool = True
    piece: int = 7
    sent: list[Request] = field(factory=list)
    version: int = 0

    def send(self, request: Request) -> Deferred[Response]:
        self.sent.append(request)
        behaviour = self.behaviours.pop(0) if self.behaviours else Behaviour()
        if behaviour.changes:
            self.version = min(self.version + 1, len(self.versions) - 1)
        if behaviour.fails:
            return fail(TargetRefused("no"))
        return succeed(self.answer(request, behaviour))

    def fields(self) -> Headers:
        """
        The validators of the present version.
        """
        if self.validator == "etag":
            return ((b"etag", b'"%d"' % self.version),)
        if self.validator == "weak":
            return ((b"etag", b'W/"%d"' % self.version),)
        date = b"Sun, 06 Nov 1994 08:%02d:00 GMT" % self.version
        return ((b"last-modified", date), DATE)

    def answer(self, request: Request, behaviour: Behaviour) -> Response:
        """
        As RFC 9110 sections 13 and 14 say, save for the fault.
        """
        data, fields, fault = self.versions[self.version], self.fields(), behaviour.fault
        condition = request.head.get(b"if-range")
        asked = parseRange(request.head.get(b"range") or b"")
        if condition is not None and condition != fields[0][1] and fault != "no if-range":
            asked = None
        if asked is None or fault == "no range":
            return self.response(200, data, fields, behaviour)
        first = asked[0]
        last = len(data) - 1 if asked[1] is None else min(asked[1], len(data) - 1)
        if first > last:
            return response(416, (b"content-range", b"bytes */%d" % len(data)))
        if fault == "shorter":
            last = first + (last - first) // 2
        if fault == "elsewhere":
            first, last = max(0, first - 1), max(0, last - 1)
        if fault == "no validator":
            fields = ()
        if fault == "another validator":
            fields = ((fields[0][0], b'"other"'),)
        if fault == "another coding":
            fields += ((b"content-encoding", b"gzip"),)
        total = b"*" if fault == "no total" else b"%d" % (len(data) + (fault == "another total"))
        part = data[first : last + 1]
        return self.response(
            206, part, ((b"content-range", b"bytes %d-%d/%s" % (first, last, total)), *fields), behaviour
        )

    def response(self, status: int, data: bytes, fields: Headers, behaviour: Behaviour) -> Response:
        """
        One with this body, as far as it goes.
        """
        if self.lengths:
            fields += ((b"content-length", b"%d" % len(data)),)
        whole = behaviour.cut is None or behaviour.cut > len(data)
        sent = data if behaviour.cut is None else data[: behaviour.cut]
        if behaviour.fault == "longer" and whole:
            sent += b"more"
        return response(status, *fields, body=CutBody(sent, whole, self.piece))


FAULTS = [
    *("no if-range", "no range", "shorter", "elsewhere", "no validator", "another validator", "another coding"),
    *("no total", "another total", "longer"),
]


behaviours = st.builds(
    Behaviour,
    cut=st.none() | st.integers(0, 60),
    changes=st.sampled_from([False] * 4 + [True]),
    fails=st.sampled_from([False] * 4 + [True]),
    fault=st.sampled_from([""] * 10 + FAULTS),
)
