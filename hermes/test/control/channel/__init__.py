"""
Tests of the channel.
"""
