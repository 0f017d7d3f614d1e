"""
Tests of L{hermes.ndn.management.modules}.
"""
