"""
A change to the overlay, from a document to a decision: all nodes that it concerns, or none.
"""

from hermes.control.transaction.core import Change
from hermes.control.transaction.transaction import Transaction

__all__ = ["Change", "Transaction"]
