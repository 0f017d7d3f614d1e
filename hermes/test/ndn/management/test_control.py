"""
Tests of L{hermes.ndn.management.control}. The oracle is python-ndn.
"""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ndn.app_support import nfd_mgmt
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.management.control import ControlParameters, ControlResponse
from hermes.ndn.packet.component import generic
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name

names = st.lists(st.binary(max_size=5).map(generic), max_size=4).map(Name)
numbers = st.integers(0, (1 << 64) - 1)
# What is not ASCII python-ndn does not write.
texts = st.text(st.characters(max_codepoint=127), max_size=20)
quick = settings(max_examples=50, deadline=None)

PEER = {
    "faceID": "face_id",
    "uri": "uri",
    "localURI": "local_uri",
    "origin": "origin",
    "cost": "cost",
    "capacity": "capacity",
    "count": "count",
    "congestionInterval": "base_congestion_mark_interval",
    "congestionThreshold": "default_congestion_threshold",
    "mtu": "mtu",
    "flags": "flags",
    "mask": "mask",
    "expiration": "expiration_period",
}
"""
What python-ndn calls the same.
"""

parameters = st.builds(
    ControlParameters,
    name=st.none() | names,
    **{each: st.none() | (texts if each in ("uri", "localURI") else numbers) for each in PEER},
    strategy=st.none() | names,
    persistency=st.none() | st.integers(0, 2),
)


def peerParameters(ours: ControlParameters) -> Any:
    """
    The same in python-ndn.
    """
    theirs = nfd_mgmt.ControlParameters()
    theirs.cp = nfd_mgmt.ControlParametersValue()
    theirs.cp.name = None if ours.name is None else list(ours.name)
    for each, peer in PEER.items():
        setattr(theirs.cp, peer, getattr(ours, each))
    if ours.strategy is not None:
        theirs.cp.strategy = nfd_mgmt.Strategy()
        theirs.cp.strategy.name = list(ours.strategy)
    theirs.cp.face_persistency = ours.persistency
    return theirs


class ControlParametersTests(SynchronousTestCase):
    """
    Arguments of commands.
    """

    @quick
    @given(parameters)
    def test_theyAreWrittenAsPythonNdnWritesThem(self, ours: ControlParameters) -> None:
        self.assertEqual(ours.encode(), bytes(peerParameters(ours).encode()))

    @quick
    @given(parameters)
    def test_whatPythonNdnWritesIsRead(self, ours: ControlParameters) -> None:
        self.assertEqual(ControlParameters.decode(bytes(peerParameters(ours).encode())), ours)

    @quick
    @given(st.binary(max_size=60))
    def test_anythingElseIsAPacketError(self, wire: bytes) -> None:
        for kind in (ControlParameters, ControlResponse):
            for each in (wire, bytes([kind.TYPE, len(wire)]) + wire):
                with contextlib.suppress(PacketError):
                    kind.decode(each)


class ControlResponseTests(SynchronousTestCase):
    """
    How commands are answered.
    """

    def test_pythonNdnReadsIt(self) -> None:
        body = ControlParameters(name=Name.fromText("/a"), faceID=300, cost=0, origin=0, flags=1)
        response = nfd_mgmt.parse_response(ControlResponse.of(200, "Success", body).encode())
        self.assertEqual((response["status_code"], response["status_text"]), (200, "Success"))
        self.assertEqual((response["face_id"], response["cost"], response["flags"]), (300, 0, 1))

    def test_pythonNdnReadsOneThatSaysNoWithABody(self) -> None:
        response = nfd_mgmt.parse_response(ControlResponse.of(410, "Face not found", ControlParameters()).encode())
        self.assertEqual((response["status_code"], response["status_text"]), (410, "Face not found"))

    def test_whatIsWrittenIsRead(self) -> None:
        for body in (None, ControlParameters(), ControlParameters(faceID=7)):
            response = ControlResponse.of(409, "no", body)
            self.assertEqual(ControlResponse.decode(response.encode()), response)
            self.assertEqual(response.parameters, body or ControlParameters())

    def test_itIsBytes(self) -> None:
        self.assertEqual(ControlResponse.of(200, "OK").encode(), b"\x65\x07\x66\x01\xc8\x67\x02OK")

    def test_oneWithoutACodeIsRefused(self) -> None:
        self.assertRaises(PacketError, ControlResponse.decode, b"\x65\x04\x67\x02OK")
