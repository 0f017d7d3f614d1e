"""
NFD's management protocol: what a forwarder is asked and told by those who run it and by applications, the RIB behind
it, and how prefixes become known at other nodes.
"""
