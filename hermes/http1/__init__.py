"""
HTTP/1.1 (RFC 9112) as exchanges: heads through h11, framing strict and ours, tunnels handed to the transport below.
"""
