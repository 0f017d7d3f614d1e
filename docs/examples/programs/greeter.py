"""
A gRPC service, which speaks HTTP/2 and nothing else. twistd -n -y greeter.py
"""

from concurrent.futures import ThreadPoolExecutor

import grpc
from twisted.application import service


def hello(request, context):
    return b"Hello, " + (request or b"whoever you are")


class Greeter(service.Service):
    def startService(self):
        handlers = {"Hello": grpc.unary_unary_rpc_method_handler(hello)}
        self.server = grpc.server(ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("hello.Greeter", handlers)])
        self.server.add_insecure_port("127.0.0.1:50051")
        self.server.start()
        print("the greeter listens")

    def stopService(self):
        self.server.stop(None)


application = service.Application("greeter")
Greeter().setServiceParent(application)
