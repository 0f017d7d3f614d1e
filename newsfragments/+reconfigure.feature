Listeners may take other options while they run (`reconfigurable`, `reconfigure`, `routesChanged`; see `hermes.interfaces.IListener`): a reload tells of them as
`changed`. A datagram channel may tell how much waits in it.
