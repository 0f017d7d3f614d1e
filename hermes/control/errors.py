"""
What can go wrong between a controller and its nodes and its operator.
"""

from __future__ import annotations

from hermes.errors import HermesError


class ControlError(HermesError):
    """
    The root of these. The text is for the operator.
    """


class NodeCallFailed(ControlError):
    """
    A call to a node brought no answer. Whether the node did what it was asked is not known.
    """


class NodeLost(NodeCallFailed):
    """
    The connection to the node was lost before it answered, or there was none.
    """


class NodeTimeout(NodeCallFailed):
    """
    The node did not answer in time.
    """


class NodeFailed(NodeCallFailed):
    """
    The node answered with an error: a mistake in its software.
    """


class NotLeading(ControlError):
    """
    This controller does not lead: another one does, or none yet.
    """


class Busy(ControlError):
    """
    Another change is under way.
    """


class Superseded(ControlError):
    """
    The overlay is at another version than the one that the change was made for.
    """


class UnknownVersion(ControlError):
    """
    There is no version of this number.
    """


class UnknownNode(ControlError):
    """
    There is no node of this name.
    """
