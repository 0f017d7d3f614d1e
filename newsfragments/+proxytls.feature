On a listener with TLS, the PROXY protocol header is read before TLS begins, as load balancers send it.
