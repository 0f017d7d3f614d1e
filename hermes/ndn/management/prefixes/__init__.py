"""
How prefixes that are registered at one node become known at the others: a path vector protocol between neighbours
(C{docs/reference/ndn-prefixes.md}), and registration at an NFD.
"""
