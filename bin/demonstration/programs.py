"""
The programs of the demonstration: an HTTP client (libcurl), a DNS client.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from io import BytesIO

import pycurl
from attrs import frozen
from twisted.names import dns


@frozen
class Fetched:
    """
    What a client got.

    @ivar status: the response's status; 0 where there was none.
    @ivar headers: its fields, names in lower case.
    @ivar body: its body.
    @ivar seconds: how long it took.
    @ivar error: what libcurl says went wrong; empty where nothing did.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float
    error: str = ""


def fetch(
    url: str, proxy: str, credential: str = "", progress: Callable[[float, float], None] | None = None
) -> Fetched:
    """
    Download through a proxy, as C{curl -x} does, over a connection of its own.

    @param credential: C{NAME:PASSWORD}, for the proxy.
    @param progress: told how many bytes there are, and how many have come.
    """
    body = BytesIO()
    headers: dict[str, str] = {}
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.PROXY, proxy)
    curl.setopt(pycurl.NOPROXY, "")
    # For threads: no signals.
    curl.setopt(pycurl.NOSIGNAL, True)
    curl.setopt(pycurl.WRITEFUNCTION, body.write)

    def headerReceived(line: bytes) -> None:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            headers[name.lower()] = value.strip()

    curl.setopt(pycurl.HEADERFUNCTION, headerReceived)
    if credential:
        curl.setopt(pycurl.PROXYUSERPWD, credential)
    if progress is not None:
        show = progress
        curl.setopt(pycurl.NOPROGRESS, False)
        curl.setopt(pycurl.XFERINFOFUNCTION, lambda total, done, *_: show(total, done))
    begin = time.perf_counter()
    error = ""
    try:
        curl.perform()
    except pycurl.error as failed:
        error = str(failed.args[1])
    finally:
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        curl.close()
    return Fetched(status, headers, body.getvalue(), time.perf_counter() - begin, error)


class ProgressLine:
    """
    How far a download is, on one line of a terminal. Elsewhere nothing is shown.
    """

    def __init__(self) -> None:
        self._isTerminal = sys.stdout.isatty()
        self._last = 0.0

    def __call__(self, total: float, done: float) -> None:
        if self._isTerminal and total and time.monotonic() - self._last > 0.1:
            self._last = time.monotonic()
            print(f"\r   downloading: {done / 2**20:5.1f} of {total / 2**20:.0f} MiB", end="", flush=True)

    def clear(self) -> None:
        """
        Take it away.
        """
        if self._isTerminal:
            print("\r" + " " * 60 + "\r", end="")


def resolve(port: int, name: str, number: int) -> tuple[str, float]:
    """
    Ask a DNS server for an IPv4 address over UDP.

    @return: the address, and the seconds it took.
    """
    query = dns.Message(id=number, recDes=1)
    query.addQuery(name, dns.A)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", port))
        begin = time.perf_counter()
        sock.send(query.toStr())
        answer = dns.Message()
        answer.fromStr(sock.recv(4096))
        return answer.answers[0].payload.dottedQuad(), time.perf_counter() - begin
