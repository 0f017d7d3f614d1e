"""
What runs beside the proxies: sources, sinks, echoes. Each is a process of its own, plain sockets, nothing of Hermes.

    python loads.py ROLE KEY=VALUE...

A client prints one JSON object when it is done. A server prints C{ready}, and at SIGTERM what it counted.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import select
import signal
import socket
import struct
import sys
import time

MIB = 1 << 20
BUFFER = 4 * MIB
UDP_SEGMENT, UDP_GRO = 103, 104


def ready() -> None:
    print("ready", flush=True)


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def tcpSink(port: int) -> None:
    """
    Reads all, and answers the end of each stream with how many bytes came.
    """
    poller = select.epoll()
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    poller.register(listener, select.EPOLLIN)
    counts: dict[int, int] = {}
    sockets: dict[int, socket.socket] = {}
    buffer = bytearray(MIB)
    ready()
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == listener.fileno():
                sock, _ = listener.accept()
                sockets[sock.fileno()], counts[sock.fileno()] = sock, 0
                poller.register(sock, select.EPOLLIN)
                continue
            sock = sockets[descriptor]
            try:
                size = sock.recv_into(buffer)
            except ConnectionError:
                size = 0
            counts[descriptor] += size
            if not size:
                with contextlib.suppress(ConnectionError):
                    sock.sendall(struct.pack("!Q", counts[descriptor]))
                poller.unregister(sock)
                sock.close()
                del sockets[descriptor], counts[descriptor]


def tcpSource(port: int, seconds: float, streams: int) -> None:
    """
    Sends for a time on some streams, then waits until all has arrived.
    """
    sockets = [connect(port) for _ in range(streams)]
    payload = memoryview(bytes(MIB))
    # A byte each first, so that the tunnels stand before the clock runs.
    for sock in sockets:
        sock.sendall(b"x")
        sock.setblocking(False)
    time.sleep(0.3)
    poller = select.epoll()
    byDescriptor = {sock.fileno(): sock for sock in sockets}
    for sock in sockets:
        poller.register(sock, select.EPOLLOUT)
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        for descriptor, _ in poller.poll(0.1):
            with contextlib.suppress(BlockingIOError):
                byDescriptor[descriptor].send(payload)
    total = 0
    for sock in sockets:
        sock.setblocking(True)
        sock.shutdown(socket.SHUT_WR)
    for sock in sockets:
        answer = b""
        while len(answer) < 8:
            part = sock.recv(8)
            if not part:
                raise SystemExit("a stream was cut")
            answer += part
        total += struct.unpack("!Q", answer)[0]
    print(json.dumps({"bytes": total, "seconds": time.monotonic() - start}), flush=True)


def tcpEcho(port: int) -> None:
    """
    Sends back what it reads.
    """
    poller = select.epoll()
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    listener.setblocking(False)
    poller.register(listener, select.EPOLLIN)
    sockets: dict[int, socket.socket] = {}
    ready()
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == listener.fileno():
                try:
                    sock, _ = listener.accept()
                except BlockingIOError:
                    continue
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sockets[sock.fileno()] = sock
                poller.register(sock, select.EPOLLIN)
                continue
            sock = sockets[descriptor]
            try:
                data = sock.recv(65536)
            except ConnectionError:
                data = b""
            if data:
                sock.sendall(data)
            else:
                poller.unregister(sock)
                del sockets[descriptor]
                sock.close()


def tcpPing(port: int, seconds: float) -> None:
    """
    One small message to and fro, as fast as it comes back.
    """
    sock = connect(port)
    message = b"p" * 64
    times = []
    for _ in range(300):
        sock.sendall(message)
        sock.recv(64)
    end = time.perf_counter() + seconds
    now = time.perf_counter()
    while now < end:
        sock.sendall(message)
        sock.recv(64)
        then, now = now, time.perf_counter()
        times.append(now - then)
    times.sort()
    print(json.dumps({"p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100]}), flush=True)


def tcpSetup(port: int, seconds: float, parallel: int) -> None:
    """
    Opens a tunnel, sends a message, reads the echo, closes; some at once.
    """
    poller = select.epoll()
    sockets: dict[int, socket.socket] = {}

    def begin() -> None:
        sock = connect(port)
        sock.sendall(b"hello")
        sockets[sock.fileno()] = sock
        poller.register(sock, select.EPOLLIN)

    for _ in range(parallel):
        begin()
    done = 0
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        for descriptor, _ in poller.poll(1):
            sock = sockets.pop(descriptor)
            if sock.recv(64) != b"hello":
                raise SystemExit("a tunnel failed")
            poller.unregister(sock)
            sock.close()
            done += 1
            begin()
    print(json.dumps({"done": done, "seconds": time.monotonic() - start}), flush=True)


def tcpIdle(port: int, tunnels: int) -> None:
    """
    Opens tunnels and holds them until its input ends.
    """
    sockets = []
    for number in range(tunnels):
        sock = connect(port)
        sock.sendall(b"hello")
        sockets.append(sock)
        if number % 100 == 99:
            for each in sockets[-100:]:
                if each.recv(64) != b"hello":
                    raise SystemExit("a tunnel failed")
    print(json.dumps({"open": len(sockets)}), flush=True)
    sys.stdin.read()


def _udp(port: int | None = None) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    if port is not None:
        sock.bind(("127.0.0.1", port))
    return sock


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Message(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("nameLength", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vectorCount", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controlLength", ctypes.c_size_t),
        ("flags", ctypes.c_size_t),
        ("sent", ctypes.c_size_t),
    )


class Burst:
    """
    Sends one payload many times in one system call, as a sender in C would: so that the load is not what is measured.
    """

    MOST = 64

    def __init__(self, payload: bytes) -> None:
        self._payload = ctypes.create_string_buffer(payload, len(payload))
        self._vector = _Vector(ctypes.addressof(self._payload), len(payload))
        message = _Message(vectors=ctypes.addressof(self._vector), vectorCount=1)
        self._messages = (_Message * self.MOST)(*[message] * self.MOST)
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg

    def send(self, sock: socket.socket, count: int) -> int:
        """
        @return: how many were sent, at most L{MOST}.
        """
        if count <= 0:
            return 0
        sent: int = self._sendmmsg(sock.fileno(), self._messages, min(count, self.MOST), 0)
        return max(sent, 0)


def udpSink(port: int) -> None:
    """
    Counts datagrams. Told C{acknowledge}, it answers every sixteenth with how many came from that source.
    """
    sock = _udp(port)
    sock.setsockopt(17, UDP_GRO, 1)
    counts: dict[object, int] = {}
    total = 0

    def report(*_: object) -> None:
        print(json.dumps({"received": total}), flush=True)
        raise SystemExit

    signal.signal(signal.SIGTERM, report)
    ready()
    while True:
        data, ancillary, _, source = sock.recvmsg(65536, 64)
        size = len(data)
        for level, kind, value in ancillary:
            if (level, kind) == (17, UDP_GRO):
                size = struct.unpack("i", value)[0]
        number = max(1, -(-len(data) // size)) if size else 1
        total += number
        before = counts.get(source, 0)
        counts[source] = before + number
        if data[:1] == b"a" and (before + number) // 16 != before // 16:
            sock.sendto(struct.pack("!Q", before + number), source)


def udpSource(port: int, seconds: float, size: int, flows: int, window: int, segment: int, rate: float) -> None:
    """
    Closed loop (C{window} datagrams in flight on each flow) or open loop (C{rate} a second in all).

    @param segment: how many datagrams go in one send, through UDP_SEGMENT; 1 for plain sends.
    """
    sockets = []
    for _ in range(flows):
        sock = _udp()
        sock.connect(("127.0.0.1", port))
        sockets.append(sock)
    letter = b"a" if window else b"o"
    payload = letter * size * segment
    burst = Burst(letter * size)
    control = [(17, UDP_SEGMENT, struct.pack("H", size))] if segment > 1 else []
    for sock in sockets:
        sock.send(b"o")
    time.sleep(0.5)
    sent = dict.fromkeys(sockets, 1)
    acknowledged = dict.fromkeys(sockets, 1)

    def send(sock: socket.socket, count: int) -> int:
        number = count // segment * segment
        if control:
            for _ in range(number // segment):
                sock.sendmsg([payload], control)
        else:
            number = burst.send(sock, number)
        sent[sock] += number
        return number

    start = time.monotonic()
    if window:
        byDescriptor = {sock.fileno(): sock for sock in sockets}
        poller = select.epoll()
        for sock in sockets:
            sock.setblocking(False)
            poller.register(sock, select.EPOLLIN)
            send(sock, window)
        lost = 0
        while time.monotonic() - start < seconds:
            events = poller.poll(0.05)
            if not events:
                # All that was in flight is lost: begin anew.
                for sock in sockets:
                    lost += sent[sock] - acknowledged[sock]
                    sent[sock] = acknowledged[sock]
                    send(sock, window)
            for descriptor, _ in events:
                sock = byDescriptor[descriptor]
                try:
                    while True:
                        acknowledged[sock] = max(acknowledged[sock], struct.unpack("!Q", sock.recv(8))[0])
                except BlockingIOError:
                    pass
                send(sock, window - (sent[sock] - acknowledged[sock]))
        elapsed = time.monotonic() - start
        print(json.dumps({"done": sum(acknowledged.values()), "seconds": elapsed, "lost": lost}), flush=True)
    else:
        total = 0
        turn = 0
        while (elapsed := time.monotonic() - start) < seconds:
            due = int(elapsed * rate)
            if total < due:
                total += send(sockets[turn % flows], max(segment, min(due - total, 32)))
                turn += 1
        print(json.dumps({"done": total, "seconds": elapsed}), flush=True)


ROLES = {
    "tcp-sink": tcpSink,
    "tcp-source": tcpSource,
    "tcp-echo": tcpEcho,
    "tcp-ping": tcpPing,
    "tcp-setup": tcpSetup,
    "tcp-idle": tcpIdle,
    "udp-sink": udpSink,
    "udp-source": udpSource,
}


def main() -> None:
    role = ROLES[sys.argv[1]]
    arguments = dict(argument.split("=") for argument in sys.argv[2:])
    role(**{name: float(value) if name in ("seconds", "rate") else int(value) for name, value in arguments.items()})


if __name__ == "__main__":
    main()
