"""
A WebSocket service. twistd -n -y chat.py
"""

from threading import Thread

from twisted.application import service
from websockets.sync.server import serve


def chat(connection):
    for message in connection:
        connection.send(f"you said {message!r}")


class Chat(service.Service):
    def startService(self):
        self.server = serve(chat, "127.0.0.1", 8765)
        Thread(target=self.server.serve_forever, daemon=True).start()
        print("the chat listens")

    def stopService(self):
        self.server.shutdown()


application = service.Application("chat")
Chat().setServiceParent(application)
