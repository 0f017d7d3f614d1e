A new TUN device has room for 2,000 packets that wait for the node, where the kernel gives it 500; the option `backlog` is another number.
