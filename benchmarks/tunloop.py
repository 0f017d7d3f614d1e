#!/usr/bin/env python3
"""
A bare loop that copies between two TUN devices in two namespaces, segmentation offload on, and does nothing else: what
a user-space tunnel of one process in Python could reach at most.

    tunloop.py NAMESPACE NAMESPACE DEVICE
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys

from tunspaces import enter

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 = 1, 2, 4


def device(namespace: str, name: str) -> int:
    """
    Make a device in a namespace.
    """
    enter(namespace)
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    fcntl.ioctl(descriptor, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
    return descriptor


def main() -> None:
    near, far = (device(namespace, sys.argv[3]) for namespace in sys.argv[1:3])
    buffer = bytearray(1 << 17)
    buffers, view = [buffer], memoryview(buffer)
    poller = select.epoll()
    for descriptor in (near, far):
        poller.register(descriptor, select.EPOLLIN)
    other = {near: far, far: near}
    readv, write = os.readv, os.write
    print("ready", flush=True)
    while True:
        for source, _ in poller.poll():
            target = other[source]
            try:
                for _ in range(64):
                    write(target, view[: readv(source, buffers)])
            except BlockingIOError:
                pass
            except OSError:
                # One of them is down.
                continue


if __name__ == "__main__":
    main()
