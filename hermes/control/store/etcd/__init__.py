"""
A store in etcd 3, for several controllers.

It speaks etcd's JSON over HTTP (the gRPC gateway, C{/v3}): that needs nothing that Twisted does not have. What is
stored, and under which keys, is in L{hermes.control.store.etcd.keys}.
"""
