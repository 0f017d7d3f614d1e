#!/usr/bin/env python3
"""
The prototype's way to carry IP: a script that reads a packet from a TUN device and sends it in a UDP datagram to a
proxy beside it, and the reverse.

    tunscript.py DEVICE HOST:PORT           sends to this proxy
    tunscript.py DEVICE --listen PORT       answers whoever has sent last

Nothing of Hermes: one select, one read, one send for each packet, as such scripts are written.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
BUFFER = 4 << 20


def main() -> None:
    device, where = sys.argv[1], sys.argv[2:]
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    peer: tuple[str, int] | None = None
    if where[0] == "--listen":
        sock.bind(("127.0.0.1", int(where[1])))
    else:
        host, _, port = where[0].rpartition(":")
        peer = (host, int(port))
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([tun, sock], [], [])
        if tun in readable:
            packet = os.read(tun, 65536)
            if peer is not None:
                sock.sendto(packet, peer)
        if sock in readable:
            packet, peer = sock.recvfrom(65536)
            try:
                os.write(tun, packet)
            except OSError:
                # The device takes no such packet: not one that the kernel knows, or it is down.
                continue


if __name__ == "__main__":
    main()
