`twistd hermes-proxy --config FILE` runs a node: SIGHUP reloads its configuration and certificates and drops no flow, SIGTERM drains it,
`workers: N` runs N processes on the same ports under a supervisor. `hermes check` says what is wrong with a configuration,
with file, line, path and the nearest right name; `hermes explain` says which route takes a flow; `hermes schema`, `hermes pki`,
`hermes passwd`. `hermes:` endpoints let any Twisted program connect, and listen, over the overlay.
