"""
Named Data Networking: packets, faces, a forwarder and its management, and applications.
"""
