"""
Tests of the agent.
"""
