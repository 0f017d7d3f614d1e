A forwarder of NDN: PIT, FIB and Content Store with bounds that faces share fairly, so that an Interest flood costs others nothing; Nacks, hop limits,
forwarding hints, scopes; the strategies `best-route`, `multicast` and `asf` by prefix, and those of extensions, which are Twisted plugins. The configuration says how much memory pending Interests may take (`pitCapacity`), in which networks the node is
(`regions`, for forwarding hints), and whether Data that nobody has asked for is kept (`keepsUnsolicited`).
Metrics: packets and bytes of each face of the configuration and of the others by kind, what was dropped and why, PIT, FIB and Content Store.
