"""
Tests of L{hermes.ndn.packet}.
"""
