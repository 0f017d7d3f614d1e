"""
What holds bytes. The same as L{hermes.values.Buffer}: the wire codecs import nothing of ours.
"""

from __future__ import annotations

from typing import TypeAlias

Buffer: TypeAlias = "bytes | bytearray | memoryview"
