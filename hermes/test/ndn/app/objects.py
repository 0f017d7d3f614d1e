"""
Objects for tests, and a network with somebody who has them.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.ndn.app.client import Handler
from hermes.ndn.app.publisher import (
    BytesSource,
    ObjectPublisher,
    SegmentedObject,
)
from hermes.ndn.app.registration import register
from hermes.ndn.packet.component import version
from hermes.ndn.packet.name import Name
from hermes.ndn.security.signers import DigestSigner
from hermes.test.ndn.app.fetches import content
from hermes.test.ndn.app.network import Network
from hermes.test.ndn.security.keys import NOW

NAME = Name.fromText("/a/file")
VERSIONED = NAME + version(7)
DIGEST = DigestSigner()


def made(size: int = 1000, segmentSize: int = 100, prefix: Name = VERSIONED) -> SegmentedObject:
    """
    An object in memory.
    """
    return SegmentedObject(prefix, BytesSource(content(size)), DIGEST, segmentSize)


class Case(SynchronousTestCase):
    """
    A network with somebody who has objects, and somebody who wants them.
    """

    def setUp(self) -> None:
        self.network = Network()
        self.network.delay = 0.01
        self.client = self.network.client()

    def serve(self, handler: Handler, prefix: Name = NAME) -> None:
        """
        Have a handler answer.
        """
        producer = self.network.client()
        self.network.result(Deferred.fromCoroutine(register(producer, self.network.signer(), prefix, handler)))

    def publish(self, found: SegmentedObject, name: Name = NAME) -> ObjectPublisher:
        """
        Publish an object.
        """
        publisher = ObjectPublisher(name, found, DIGEST, lambda: NOW)
        self.serve(publisher.answer, name)
        return publisher
