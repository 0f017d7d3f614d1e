"""
An HTTP/1.1 server on Python's own C{http.server}, a program of its own. It prints its port, and answers as
L{hermes.test.interop.httporigin} says.
"""

from __future__ import annotations

import hashlib
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any

from hermes.test.interop.httporigin import CHUNK, answer, isDeclined, sizeOf


class Handler(BaseHTTPRequestHandler):
    """
    One connection.
    """

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.request.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        super().setup()

    def handle_expect_100(self) -> bool:
        if isDeclined(self.path):
            self.send_response(417)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.close_connection = True
            return False
        return super().handle_expect_100()

    def answer(self) -> None:
        if self.path == "/hints":
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        if self.path == "/stall":
            time.sleep(3600)
        size = sizeOf(self.path)
        if size is not None:
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            for sent in range(0, size, len(CHUNK)):
                self.wfile.write(CHUNK[: size - sent])
            return
        digest = hashlib.sha256()
        trailers: list[tuple[str, str]] = []
        length = self.body(digest, trailers)
        data = answer("1.1", self.command, self.path, list(self.headers.items()), length, digest.hexdigest(), trailers)
        self.send_response(200)
        if self.path == "/trailers":
            self.send_header("Trailer", "X-Sum")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n0\r\nX-Sum: from the origin\r\n\r\n" % (len(data), data))
            return
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def body(self, digest: Any, trailers: list[tuple[str, str]]) -> int:
        """
        Read the request's body; its length.
        """
        read = 0
        if self.headers.get("Transfer-Encoding") != "chunked":
            left = int(self.headers.get("Content-Length") or 0)
            while left:
                piece = self.rfile.read(min(left, len(CHUNK)))
                digest.update(piece)
                left -= len(piece)
                read += len(piece)
            return read
        while size := int(self.rfile.readline(), 16):
            digest.update(self.rfile.read(size))
            read += size
            self.rfile.readline()
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            trailers.append((name.lower(), value.strip()))
        return read

    do_GET = do_HEAD = do_POST = do_PUT = do_OPTIONS = answer

    def log_message(self, format: str, *args: Any) -> None:
        """
        Say nothing: the port is all that anybody reads.
        """


def main() -> None:
    """
    Serve until killed.
    """
    # More connections at once than it would have wait.
    ThreadingHTTPServer.request_queue_size = 1024
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"serving on {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
