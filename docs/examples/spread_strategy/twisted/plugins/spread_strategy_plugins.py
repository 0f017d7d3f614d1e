"""
What Twisted finds. No logic, and no __init__.py beside it.
"""

from spread_strategy.spread import SpreadType

spread = SpreadType()
