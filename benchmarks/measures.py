"""
All that is measured. Each measure gives one number a side and round; C{run} interleaves the sides and takes medians.
"""

from __future__ import annotations

import exchanges
import ndnexchanges
import ndnfetches
import tunnels
import tuns

MEASURES = [*tunnels.MEASURES, *exchanges.MEASURES, *tuns.MEASURES, *ndnexchanges.MEASURES, *ndnfetches.MEASURES]
