"""
Tests of L{hermes.ndn.management.prefixes}.
"""
