"""
A forwarding strategy of its own.
"""
