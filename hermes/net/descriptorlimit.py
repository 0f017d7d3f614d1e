"""
How many descriptors the process may have open.
"""

from __future__ import annotations

import resource
from typing import Any


def raiseDescriptorLimit(limits: Any = resource) -> int:
    """
    Raise the soft limit to the hard one, which needs no right: a shell's soft limit is often 1,024, and a proxy has one
    descriptor, or more, for each flow.

    @param limits: stands in for the C{resource} module.
    @return: the limit from now on.
    """
    soft, hard = limits.getrlimit(limits.RLIMIT_NOFILE)
    if soft != hard:
        try:
            limits.setrlimit(limits.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # Some kernels bound it otherwise too.
            return int(soft)
    return int(hard)
