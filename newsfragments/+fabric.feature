Listeners of type `tcp` and `udp`; routes by target, user, node, listener, protocol and source; direct upstreams with
balancing, failover and PROXY protocol; flows through chains of hops, hop by hop or nested.
