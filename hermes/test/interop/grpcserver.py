"""
A gRPC server on C{grpcio}, a program of its own. It prints its port. Messages are bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc


def unary(request: bytes, context: Any) -> bytes:
    """
    The same, and its length behind it.
    """
    told = dict(context.invocation_metadata())
    context.set_trailing_metadata((("x-length", str(len(request))), ("x-told", told.get("x-tell", "-"))))
    if request == b"fail":
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as you wish: 100 %")
    return request


def serverStream(request: bytes, context: Any) -> Iterator[bytes]:
    """
    So many messages.
    """
    for number in range(int(request)):
        yield b"%d" % number


def clientStream(requests: Iterator[bytes], context: Any) -> bytes:
    """
    How much came.
    """
    return b"%d" % sum(map(len, requests))


def both(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
    """
    Answer each message, and the end.
    """
    context.send_initial_metadata((("x-early", "yes"),))
    for request in requests:
        yield request.upper()
    yield b"END"


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "ServerStream": grpc.unary_stream_rpc_method_handler(serverStream),
    "ClientStream": grpc.stream_unary_rpc_method_handler(clientStream),
    "Both": grpc.stream_stream_rpc_method_handler(both),
}


def main() -> None:
    """
    Serve until killed.
    """
    options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", HANDLERS),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"serving on {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
