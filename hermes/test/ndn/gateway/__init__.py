"""
Tests of L{hermes.ndn.gateway}.
"""
