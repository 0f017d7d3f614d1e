"""
Impaired links: relays between real sockets that delay, limit, lose, cut, and go down and up again, for tests and
benchmarks where the kernel has no C{netem}.

    python -m hermes.testing.links stream --to 127.0.0.1:8443 --delay 10ms

runs one as a process of its own.
"""

from hermes.testing.links.datagram import DatagramImpairment, ImpairedDatagramLink
from hermes.testing.links.schedule import Rotation
from hermes.testing.links.stream import ImpairedStreamLink, StreamImpairment

__all__ = ["DatagramImpairment", "ImpairedDatagramLink", "ImpairedStreamLink", "Rotation", "StreamImpairment"]
