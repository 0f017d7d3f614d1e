`hermes route get` of a running node says where the packet would leave, and that nobody has its address or that the tunnel is down.
