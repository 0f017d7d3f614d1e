"""
The forwarder of Named Data Networking: tables, pipelines, strategies. Time is an argument, and faces are whatever
provides L{hermes.ndn.interfaces.INDNFace}.
"""
