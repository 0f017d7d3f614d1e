"""
HTTP/1.1 (RFC 9112) as exchanges: heads through llhttp, framing strict and ours, tunnels handed to the transport below.
"""
