"""
Types of listeners for Hermes.
"""
