"""
A gRPC client on C{grpcio}, a program of its own: C{grpcclient PORT AUTHORITY}. It talks to
L{hermes.test.interop.grpcserver} and prints C{done}.
"""

from __future__ import annotations

import os
import queue
import sys

import grpc


def main(port: int, authority: str) -> None:
    """
    The four kinds of calls, their ends, and what goes wrong.
    """
    options = (
        *(("grpc.default_authority", authority), ("grpc.enable_http_proxy", 0)),
        *(("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)),
    )
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        unary = channel.unary_unary("/test.Test/Unary")
        for message in (b"", b"hello", os.urandom(5 << 20)):
            answer, call = unary.with_call(message, timeout=20, metadata=(("x-tell", "me"),))
            assert answer == message
            trailers = dict(call.trailing_metadata())
            assert (trailers["x-length"], trailers["x-told"]) == (str(len(message)), "me"), trailers
            assert call.code() is grpc.StatusCode.OK
        try:
            unary(b"fail", timeout=20)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION, error
            assert error.details() == "as you wish: 100 %", error
            assert dict(error.trailing_metadata())["x-length"] == "4", error
        else:
            raise AssertionError("the server refuses")
        try:
            channel.unary_unary("/test.Test/Nothing")(b"", timeout=20)
        except grpc.RpcError as error:
            # Trailers alone: a head that is the end as well.
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED, error

        numbers = channel.unary_stream("/test.Test/ServerStream")(b"2000", timeout=20)
        assert [int(each) for each in numbers] == list(range(2000))

        pieces = (os.urandom(10_000) for _ in range(300))
        assert channel.stream_unary("/test.Test/ClientStream")(pieces, timeout=20) == b"3000000"

        # Each side waits for the other, and then one of them has ended.
        said: queue.Queue[bytes | None] = queue.Queue()
        answers = channel.stream_stream("/test.Test/Both")(iter(said.get, None), timeout=20)
        assert dict(answers.initial_metadata())["x-early"] == "yes"
        for word in (b"one", b"two", b"three" * 100_000):
            said.put(word)
            assert next(answers) == word.upper()
        said.put(None)
        assert list(answers) == [b"END"]
        assert answers.code() is grpc.StatusCode.OK

        # One that nobody ends, given up, disturbs no other.
        waiting = channel.stream_stream("/test.Test/Both")(iter(queue.Queue[bytes]().get, None), timeout=20)
        assert dict(waiting.initial_metadata())["x-early"] == "yes"
        waiting.cancel()
        assert unary(b"again", timeout=20) == b"again"
    print("done", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
    # Threads of an iterator that waits for ever.
    os._exit(0)
