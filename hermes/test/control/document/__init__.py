"""
Tests of L{hermes.control.document}.
"""
