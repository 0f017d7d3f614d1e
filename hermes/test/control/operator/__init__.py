"""
Tests for L{hermes.control.operator}.
"""
