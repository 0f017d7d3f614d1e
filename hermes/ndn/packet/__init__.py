"""
NDN packets as bytes and as values: the packet format v0.3 and the link protocol NDNLPv2. Sans-IO, no Twisted.
"""
