"""
The catalogue of request smuggling: what two readers could read in two ways.
"""

from __future__ import annotations

HOST = b"Host: a.example\r\n"
START = b"POST /x HTTP/1.1\r\n" + HOST
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

FIELDS: dict[str, bytes] = {
    "CL.TE": b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
    "TE.CL": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    "CL.TE that is not chunked": b"Content-Length: 6\r\nTransfer-Encoding: identity\r\n",
    "TE.TE, one of them obfuscated": b"Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n",
    "TE.TE, the first obfuscated": b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
    "TE with a prefix": b"Transfer-Encoding: xchunked\r\n",
    "TE with a suffix": b"Transfer-Encoding: chunkedx\r\n",
    "TE with a parameter": b"Transfer-Encoding: chunked;q=1\r\n",
    "TE with a comma before": b"Transfer-Encoding: ,chunked\r\nContent-Length: 3\r\n",
    "TE behind a vertical tab": b"Transfer-Encoding:\x0bchunked\r\n",
    "TE behind a form feed": b"Transfer-Encoding: \x0cchunked\r\n",
    "TE behind a NUL": b"Transfer-Encoding: \x00chunked\r\n",
    "TE behind a no-break space": b"Transfer-Encoding: \xa0chunked\r\n",
    "TE in quotes": b"Transfer-Encoding: 'chunked'\r\n",
    "TE, space colon": b"Transfer-Encoding : chunked\r\n",
    "TE, tab colon": b"Transfer-Encoding\t: chunked\r\n",
    "TE folded": b"Transfer-Encoding:\r\n chunked\r\n",
    "TE folded with a tab": b"Transfer-Encoding:\r\n\tchunked\r\n",
    "TE folded into another": b"X: y\r\n Transfer-Encoding: chunked\r\n",
    "TE with an underscore and a length": b"Transfer_Encoding: chunked\r\nContent-Length: 4\r\nContent-Length: 5\r\n",
    "TE hidden by a bare LF": b"X: y\nTransfer-Encoding: chunked\r\n",
    "TE hidden by a bare CR": b"X: y\rTransfer-Encoding: chunked\r\n",
    "TE not last": b"Transfer-Encoding: chunked, gzip\r\nContent-Length: 3\r\n",
    "CL twice, unlike": b"Content-Length: 0\r\nContent-Length: 45\r\n",
    "CL twice, alike": b"Content-Length: 45\r\nContent-Length: 45\r\n",
    "CL as a list": b"Content-Length: 0, 45\r\n",
    "CL as a list of one and nothing": b"Content-Length: 45,\r\n",
    "CL with a plus": b"Content-Length: +45\r\n",
    "CL with a minus": b"Content-Length: -45\r\n",
    "CL with 0x": b"Content-Length: 0x2d\r\n",
    "CL with 0o": b"Content-Length: 0o55\r\n",
    "CL with a point": b"Content-Length: 45.0\r\n",
    "CL with an exponent": b"Content-Length: 4e1\r\n",
    "CL with a space inside": b"Content-Length: 4 5\r\n",
    "CL beyond 64 bits": b"Content-Length: 18446744073709551661\r\n",
    "CL, space colon": b"Content-Length : 45\r\n",
    "CL folded": b"Content-Length:\r\n 45\r\n",
    "CL in quotes": b'Content-Length: "45"\r\n',
    "CL of nothing": b"Content-Length: \r\n",
    "CL behind a NUL": b"Content-Length: \x0045\r\n",
    "a second Host": b"Host: b.example\r\n",
    "a second Host, folded": b"Host:\r\n b.example\r\n",
    "a Host hidden by a bare LF": b"X: y\nHost: b.example\r\n",
    "a name with a space": b"X Y: z\r\n",
    "a name with a NUL": b"X\x00: y\r\n",
    "a name with a high byte": b"X\xe9: y\r\n",
    "a name of nothing": b": y\r\n",
    "a line without a colon": b"smuggled\r\n",
    "a request line as a field": b"GET http://b.example/ HTTP/1.1\r\n",
    "a value with a NUL": b"X: \x00\r\n",
    "a value with a DEL": b"X: \x7f\r\n",
    "a value with an escape": b"X: \x1b[0m\r\n",
    "a head that ends in bare LFs": b"X: y\n\n",
    "a head that ends in CR CR LF": b"X: y\r\r\n",
}
"""
What follows the request line and C{Host}.
"""

LINES: dict[str, bytes] = {
    "Host and an absolute URI that differ": b"GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n",
    "ports of Host and an absolute URI that differ": b"GET http://a.example/ HTTP/1.1\r\nHost: a.example:81\r\n\r\n",
    "no Host in Host": b"GET http://a.example/ HTTP/1.1\r\nHost:\r\n\r\n",
    "a target with a bare CR": b"GET /a\rX HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target with a NUL": b"GET /a\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target with a tab": b"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n",
    "two request lines in one": b"GET / HTTP/1.1 GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "no target": b"GET  HTTP/1.1\r\nHost: a\r\n\r\n",
    "a line that ends in LF": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "a line that ends in CR": b"GET / HTTP/1.1\rHost: a\r\n\r\n",
    "spaces before": b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space before the first field": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "a second version digit": b"GET / HTTP/1.10\r\nHost: a\r\n\r\n",
    "a colon in the method": b"GET: / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/1.0 with chunks": b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.0 with chunks and a length": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    "CONNECT with a length": b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 45\r\n\r\n",
    "an Upgrade with chunks": (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n"
    ),
    "a Host with a control": b"GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n",
    "a Host with a space": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a Host with a fragment": b"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n",
    "a Host with a query": b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n",
    "a Host with a quote": b'GET / HTTP/1.1\r\nHost: a"b\r\n\r\n',
}
"""
Whole heads.
"""

CHUNKS: dict[str, bytes] = {
    "a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "a minus": b"-1\r\nhello\r\n0\r\n\r\n",
    "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "0x of none": b"0x\r\n\r\n",
    "an underscore": b"1_0\r\nhello\r\n0\r\n\r\n",
    "a space before": b" 5\r\nhello\r\n0\r\n\r\n",
    "a space behind": b"5 \r\nhello\r\n0\r\n\r\n",
    "a tab behind": b"5\t\r\nhello\r\n0\r\n\r\n",
    "no number": b"x\r\nhello\r\n0\r\n\r\n",
    "nothing": b"\r\nhello\r\n0\r\n\r\n",
    "an extension and no size": b";a=b\r\nhello\r\n0\r\n\r\n",
    "more than 64 bits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "more zeros than fit": b"0" * 40 + b"5\r\nhello\r\n0\r\n\r\n",
    "other digits": "\u0665\r\nhello\r\n0\r\n\r\n".encode(),
    "a comma": b"5,5\r\nhello\r\n0\r\n\r\n",
    "a NUL behind": b"5\x00\r\nhello\r\n0\r\n\r\n",
    "an end in LF": b"5\nhello\r\n0\r\n\r\n",
    "an end in CR": b"5\rhello\r\n0\r\n\r\n",
    "an extension with a LF": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "an extension with a CR": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "an extension with a NUL": b"5;a\x00\r\nhello\r\n0\r\n\r\n",
    "an extension that does not end": b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
    "more than the size says": b"5\r\nhello!\r\n0\r\n\r\n",
    "less than the size says": b"6\r\nhello\r\n0\r\n\r\n",
    "a LF behind a chunk": b"5\r\nhello\n0\r\n\r\n",
    "nothing behind a chunk": b"5\r\nhello0\r\n\r\n",
    "a last chunk that ends in LF": b"0\n\r\n",
    "trailers that end in LF": b"0\r\nX: y\n\r\n",
    "an end of trailers in LF": b"0\r\nX: y\r\n\n",
    "a folded trailer": b"0\r\nX: y\r\n z\r\n\r\n",
    "a trailer without a colon": b"0\r\nsmuggled\r\n\r\n",
    "a trailer with a space in its name": b"0\r\nX : y\r\n\r\n",
    "a trailer with a NUL": b"0\r\nX: \x00\r\n\r\n",
    "a request line for trailers": b"0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "trailers that do not end": b"0\r\n" + b"X: y\r\n" * 2000,
}
"""
What follows a head that says C{Transfer-Encoding: chunked}.
"""

RESPONSES: dict[str, bytes] = {
    "CL.TE": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE.CL": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "TE.TE": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "TE of an unknown kind": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nabc",
    "TE not last": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc",
    "TE in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE, space colon": b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "CL twice, unlike": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
    "CL as a list": b"HTTP/1.1 200 OK\r\nContent-Length: 3, 5\r\n\r\nabc",
    "CL with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
    "CL with a minus": b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
    "CL with 0x": b"HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\nabc",
    "CL of nothing": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nabc",
    "a folded field": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a bare LF": b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 0\r\n\r\n",
    "a bare CR": b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
    "a status line that ends in LF": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "a NUL": b"HTTP/1.1 200 OK\r\nX: \x00\r\nContent-Length: 0\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of none": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "a status beyond": b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no HTTP": b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no status line": b"X: y\r\n\r\n",
    "101 that nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc",
    "1xx without end": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 1000,
    "a head without end": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    "fields without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
}
"""
What an origin answers to a GET.
"""
