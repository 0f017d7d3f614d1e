"""
Tests of L{hermes.ndn}.
"""
