A prefix of an `ndn` listener may lead to the neighbours on a network: `prefixes: [{prefix: /office, face: eth0}]`, with `multicast: [eth0]`.
