Listener type `ndn`: a forwarder of Named Data Networking in a node. Programs come by Unix socket, TCP, UDP and WebSocket (browsers too); faces to other nodes are
flows, whose way the node's routes decide, and routes of other nodes end here by `to`; faces to an NFD or any other forwarder are direct. NDNLPv2: fragments, Nacks,
PIT tokens, congestion marks, reliability. Multicast to neighbours. Links that come and go are opened again; programs stay connected over a reload.
`INDNFace(x)` makes a face of any datagram channel and of any byte stream.
A direct face over UDP sends in one piece what the way there takes, and the rest in fragments.
