"""
A WebSocket client. python say.py URL MESSAGE...
"""

import sys

from websockets.sync.client import connect

with connect(sys.argv[1], proxy=None) as connection:
    for message in sys.argv[2:]:
        connection.send(message)
        print(connection.recv())
