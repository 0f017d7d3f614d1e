Management of a forwarder of NDN with NFD's protocol, so that its programs and tools (python-ndn, `pynfdc`, `nfdc`) need not know that it is none: faces,
FIB, RIB, Content Store, strategies, status, notifications, signed commands of both kinds. Neighbouring nodes tell each other which prefixes they can
reach (`announce`), a path vector without a controller; prefixes are registered at an NFD, too (`register`).
