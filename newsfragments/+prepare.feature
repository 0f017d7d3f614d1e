A change that can't be had is refused before anything changes: TUN devices are made, ports and paths of NDN listeners are bound, when a configuration is
prepared, and a port that goes from one listener to another goes over with its socket, so that nobody who connects in between is turned away.
