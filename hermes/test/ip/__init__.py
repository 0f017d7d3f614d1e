"""
Tests of L{hermes.ip}.
"""
