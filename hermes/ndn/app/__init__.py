"""
Applications: a client of a forwarder, objects in segments, and what the C{hermes ndn} commands do.
"""
