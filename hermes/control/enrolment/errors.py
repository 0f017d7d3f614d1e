"""
What can go wrong when a node joins.
"""

from __future__ import annotations

from hermes.control.errors import ControlError


class BadToken(ControlError):
    """
    What was given as a token is none: mistyped, or cut.
    """


class BadRequest(ControlError):
    """
    A certificate request can't be signed. The text is for whoever sent it.
    """


class EnrolmentRefused(ControlError):
    """
    The controller does not enrol this node. The text is the controller's.
    """


class NotTheController(ControlError):
    """
    Who answers is not the controller that made the token.
    """


class IdentityBroken(ControlError):
    """
    What is on disk of a node's identity can't be used. The text names the file.
    """
