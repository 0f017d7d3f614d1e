"""
A gRPC client. python greet.py HOST:PORT NAME
"""

import sys

import grpc

with grpc.insecure_channel(sys.argv[1], [("grpc.enable_http_proxy", 0)]) as channel:
    print(channel.unary_unary("/hello.Greeter/Hello")(sys.argv[2].encode(), timeout=10).decode())
