HTTP/2, server and client: every case of the public conformance suite answered with the right error code; extended CONNECT enforced both ways, windows
that grow with the path, a lean path for DATA, bounds on floods, GOAWAY and drain, a pool of connections.
