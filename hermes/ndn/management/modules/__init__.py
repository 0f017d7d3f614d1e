"""
The modules of NFD's management protocol.
"""
