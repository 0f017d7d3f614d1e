"""
How often Python looks for garbage that only it can find.
"""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 100_000
"""
How many more objects are made than freed before the young ones are looked at. Each request makes a few hundred, nearly
all of which go by themselves; by Python's own figure, 700, three tenths of the time went into looking.
"""

OLDER: Final = 20
OLDEST: Final = 50


def settle() -> None:
    """
    Take what is there now, the program itself, for what stays, and look for garbage less often. To be called once what
    lasts has been made.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDEST)
