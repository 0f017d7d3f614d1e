"""
From the overlay document to what each node runs.
"""

from hermes.control.compiler.compiling import Compiled, compile
from hermes.control.compiler.measuring import NONE, Measurements
from hermes.control.compiler.text import NodeOutput

__all__ = ["NONE", "Compiled", "Measurements", "NodeOutput", "compile"]
