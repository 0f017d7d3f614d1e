"""
Tests for L{hermes.control.page}.
"""
