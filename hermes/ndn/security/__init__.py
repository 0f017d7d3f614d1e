"""
Who has made a packet, and whether that is somebody to believe: signatures, certificates, keys, trust.
"""
