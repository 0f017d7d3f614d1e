"""
Tests of L{hermes.ndn.app}.
"""
