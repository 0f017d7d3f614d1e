"""
Tests of L{hermes.control.compiler}.
"""
