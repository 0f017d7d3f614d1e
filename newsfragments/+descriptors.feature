`twistd hermes-proxy` raises its soft limit of open descriptors to the hard one.
