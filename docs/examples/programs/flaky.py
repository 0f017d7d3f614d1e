"""
A server in a bad way: every other request is answered with 503, and of a film no connection brings more than a million
bytes.
"""

from __future__ import annotations

import hashlib
import random
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FILM = random.Random(1).randbytes(4_000_000)
ETAG = f'"{hashlib.sha256(FILM).hexdigest()[:16]}"'
MOST = 1_000_000


class Flaky(BaseHTTPRequestHandler):
    requests = 0

    def do_GET(self) -> None:
        Flaky.requests += 1
        if Flaky.requests % 2:
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first = 0
        if self.headers.get("If-Range") == ETAG:
            first = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(FILM) - 1}/{len(FILM)}")
        self.send_header("ETag", ETAG)
        self.send_header("Content-Length", str(len(FILM) - first))
        self.end_headers()
        self.wfile.write(FILM[first : first + MOST])

    def log_message(self, *told: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Flaky)
print("serving", flush=True)
server.serve_forever()
