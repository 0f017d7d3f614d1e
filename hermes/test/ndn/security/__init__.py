"""
Tests of L{hermes.ndn.security}.
"""
