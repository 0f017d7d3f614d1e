"""
Servers and a client for tests with IP packets: programs of their own, nothing of Hermes. A server prints C{serving}.

    python ipservers.py echo ADDRESS PORT NAME
    python ipservers.py files ADDRESS PORT DIRECTORY
    python ipservers.py dns ADDRESS PORT
    python ipservers.py flow ADDRESS PORT RATE SECONDS
    python ipservers.py bursts ADDRESS PORT
"""

from __future__ import annotations

import json
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BUFFER = 4 << 20
STEP = 0.002
QUIET = 1.0
SILENCE = 0.1
MARK = 200


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def datagrams(address: str) -> socket.socket:
    sock = socket.socket(family(address), socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    return sock


def serving() -> None:
    print("serving", flush=True)


def echo(address: str, port: str, name: str) -> None:
    """
    Answers each datagram with itself and the server's name.
    """
    sock = datagrams(address)
    sock.bind((address, int(port)))
    serving()
    while True:
        data, source = sock.recvfrom(65536)
        sock.sendto(data + name.encode(), source)


def files(address: str, port: str, directory: str) -> None:
    """
    Serves the files of a directory over HTTP.
    """

    class Server(ThreadingHTTPServer):
        address_family = family(address)

    server = Server((address, int(port)), partial(SimpleHTTPRequestHandler, directory=directory))
    serving()
    server.serve_forever()


def dns(address: str, port: str) -> None:
    """
    Answers for names in C{example}: A and AAAA, and a TXT record of 2,000 bytes, which no UDP answer holds.
    """
    from twisted.internet import reactor as theReactor
    from twisted.internet.defer import Deferred, fail, succeed
    from twisted.names import dns as names
    from twisted.names.error import DomainError
    from twisted.names.server import DNSServerFactory

    reactor: Any = theReactor

    class Resolver:
        def query(self, query: Any, timeout: Any = None) -> Deferred[Any]:
            name = query.name.name.decode()
            payloads = {
                names.A: lambda: names.Record_A("192.0.2.7"),
                names.AAAA: lambda: names.Record_AAAA("2001:db8::7"),
                names.TXT: lambda: names.Record_TXT(*[b"x" * 200] * 10),
            }
            if not name.endswith("example") or query.type not in payloads:
                return fail(DomainError(name))
            answer = names.RRHeader(name, query.type, ttl=60, payload=payloads[query.type](), auth=True)
            return succeed(([answer], [], []))

    factory = DNSServerFactory(clients=[Resolver()])
    reactor.listenUDP(int(port), names.DNSDatagramProtocol(factory), interface=address)
    reactor.listenTCP(int(port), factory, interface=address)
    reactor.callWhenRunning(serving)
    reactor.run()


def flow(address: str, port: str, rate: str, seconds: str) -> None:
    """
    Sends numbered datagrams to an echo, so many a second, for so long or until its input ends. Prints C{by NAME} where
    another server answers than before, C{at NUMBER} when so many have come, C{again} when one comes after a tenth of a
    second without any, and at last what came of it: how many were sent, the numbers of those that did not come back
    within a second after the last, how many came more than once, how often another server answered, and the longest
    time in milliseconds during which nothing came.
    """
    sock = datagrams(address)
    sock.connect((address, int(port)))
    sock.setblocking(False)
    came: dict[int, int] = {}
    sent = moves = 0
    last = ""
    longest = 0.0
    began = heard = time.monotonic()
    due = began
    ends = began + float(seconds)
    finished: float | None = None
    serving()
    while True:
        now = time.monotonic()
        if finished is None:
            for _ in range(min(int((now - began) * float(rate)) - sent, 256)):
                try:
                    sock.send(struct.pack("!Qd", sent, now) + bytes(184))
                except ConnectionRefusedError:
                    # An ICMP error about one before. It was not sent; the next one is.
                    continue
                sent += 1
            if now >= ends or select.select([sys.stdin], [], [], 0)[0]:
                finished = now
        elif now - finished >= QUIET or len(came) == sent:
            break
        due = max(due + STEP, now)
        while (left := due - time.monotonic()) > 0:
            if not select.select([sock], [], [], left)[0]:
                break
            try:
                data = sock.recv(65536)
            except OSError:
                continue
            number = struct.unpack_from("!Q", data)[0]
            came[number] = came.get(number, 0) + 1
            now = time.monotonic()
            if now - heard > SILENCE:
                print("again", flush=True)
            longest, heard = max(longest, now - heard), now
            name = data[200:].decode()
            if len(came) % MARK == 0:
                print(f"at {len(came)}", flush=True)
            if name != last:
                print(f"by {name}", flush=True)
                moves += bool(last)
                last = name
    print(
        json.dumps(
            {
                "sent": sent,
                "lost": [number for number in range(sent) if number not in came],
                "twice": sum(count - 1 for count in came.values()),
                "moves": moves,
                "longest": round(longest * 1000, 1),
            }
        ),
        flush=True,
    )


def bursts(address: str, port: str) -> None:
    """
    Sends datagrams to an echo at once, so many and of such sizes that they are made trains, and ends well if each comes
    back as it was.
    """
    sock = datagrams(address)
    sock.connect((address, int(port)))
    sock.settimeout(10)
    for size in (1, 64, 1200, 1400):
        for count in (3, 64, 200):
            sent = [random.randbytes(size) for _ in range(count)]
            for data in sent:
                sock.send(data)
            came = [sock.recv(65536)[:size] for _ in sent]
            if sorted(came) != sorted(sent):
                raise SystemExit(f"{count} datagrams of {size} bytes came back otherwise")


ROLES: dict[str, Callable[..., None]] = {"echo": echo, "files": files, "dns": dns, "flow": flow, "bursts": bursts}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
