IP packets: listeners of type `tun`, CONNECT-IP (RFC 9484) at both ends, routes with `protocol: ip` by longest prefix, user, node, source,
transport and port, address pools with leases, changes under traffic without a lost packet; `hermes capture`, `hermes route get`,
`hermes ping`.
