"""
The overlay document: what an operator writes, once for all nodes.
"""

from hermes.control.document.load import loadOverlay
from hermes.control.document.schema import OverlayDocument

__all__ = ["OverlayDocument", "loadOverlay"]
