Sockets: UDP in batches and trains (recvmmsg, UDP_GRO, UDP_SEGMENT), Happy Eyeballs v2, special-purpose targets refused, ports shared between processes or inherited, Unix sockets with a mode.
