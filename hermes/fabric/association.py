"""
The UDP relay of a SOCKS5 association (RFC 1928 section 7): one socket for one client, one flow for each destination.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hermes.fabric.flowtable import FlowChannel, FlowTable
from hermes.interfaces import IDatagramSocket, IDatagramSocketReceiver, IFlowHandler
from hermes.values import Address, Buffer, Flow, Target
from hermes.wire.errors import MalformedError
from hermes.wire.socks import parseDatagram

MAX_UDP_PAYLOAD: Final = 65507
MAX_DESTINATIONS: Final = 256
IDLE_TIME: Final = 60.0


class DestinationChannel(FlowChannel):
    """
    The client's end of the flow to one destination.

    @ivar header: what the datagrams of this destination begin with, both ways.
    """

    __slots__ = ("_association", "header")

    def __init__(self, association: UDPAssociation, flows: FlowTable[DestinationChannel], header: bytes) -> None:
        FlowChannel.__init__(self, flows, header, MAX_UDP_PAYLOAD - len(header))
        self._association = association
        self.header = header

    def _send(self, datagrams: Sequence[Buffer]) -> None:
        header, largest = self.header, self.maxDatagramSize
        framed = [b"".join((header, datagram)) for datagram in datagrams if len(datagram) <= largest]
        self._dropped += len(datagrams) - len(framed)
        self._association.send(framed)


@implementer(IDatagramSocketReceiver)
class UDPAssociation:
    """
    Takes datagrams from one client, opens a flow for each destination that they name, and sends back what comes.

    The destination that was used the longest ago makes room where there are too many; one that was not used for some
    time is closed.

    @ivar dropped: datagrams from elsewhere than the client, fragments, and such that can't be read.
    """

    def __init__(
        self,
        socket: IDatagramSocket,
        flows: IFlowHandler,
        clock: IReactorTime,
        flow: Flow,
        client: Address,
        maxDestinations: int = MAX_DESTINATIONS,
        idleTime: float = IDLE_TIME,
    ) -> None:
        """
        @param flow: what all flows have in common: source, identity, listener.
        @param client: the only address that datagrams are taken from; with port 0, the port of the first datagram that
            can be read.
        @param idleTime: in seconds.
        """
        self._socket = socket
        self._flows = flows
        self._flow = flow
        self._host, port = client
        self._client: object = client if port else None
        self._table: FlowTable[DestinationChannel] = FlowTable(flow.listener, clock, maxDestinations, idleTime)
        self._closed = False
        self.dropped = 0
        socket.setReceiver(self)

    def __len__(self) -> int:
        return len(self._table)

    def datagramsReceivedFrom(self, datagrams: Sequence[Buffer], address: object) -> None:
        if self._closed or (self._client is not None and address != self._client):
            self.dropped += len(datagrams)
            return
        if self._client is None and not (isinstance(address, tuple) and address[0] == self._host):
            self.dropped += len(datagrams)
            return
        payloads: list[Buffer] = []
        header = b""
        for datagram in datagrams:
            # A header tells its own length, so whatever begins with these bytes has this header.
            if header and datagram[: len(header)] == header:
                payloads.append(memoryview(datagram)[len(header) :])
                continue
            if payloads:
                self._received(header, payloads)
                payloads, header = [], b""
            try:
                _, port, payload = parseDatagram(datagram)
                if not port:
                    raise MalformedError("a SOCKS datagram is for port 0")
            except MalformedError:
                self.dropped += 1
                continue
            header = bytes(datagram[: len(datagram) - len(payload)])
            payloads.append(payload)
            if self._client is None:
                self._client = address
        if payloads:
            self._received(header, payloads)

    def send(self, datagrams: list[bytes]) -> None:
        """
        Send to the client.
        """
        if not self._closed:
            self._socket.writeTo(datagrams, self._client)

    # Destinations

    def _received(self, header: bytes, payloads: list[Buffer]) -> None:
        """
        Payloads for one destination.
        """
        # The reserved bytes are the client's to fill, and say nothing.
        header = b"\x00\x00" + header[2:]
        channel = self._table.get(header)
        if channel is None:
            channel = self._open(header)
        channel.received(payloads)

    def _open(self, header: bytes) -> DestinationChannel:
        host, port, _ = parseDatagram(header)
        channel = DestinationChannel(self, self._table, header)
        self._table.add(channel)
        channel.open(self._flows.openDatagrams(evolve(self._flow, target=Target(host, port))))
        return channel

    def close(self) -> None:
        """
        The client has ended the association.
        """
        if self._closed:
            return
        self._closed = True
        self._table.endAll(ConnectionDone())
        self._socket.stopListening()
