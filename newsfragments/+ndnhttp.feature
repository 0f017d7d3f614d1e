Objects of NDN by HTTP: an assisting component of type `ndn` answers `GET /ndn/NAME`, whole or in part, with backpressure, and verified if
trust anchors are given; the Content Store of a forwarder and an HTTP cache may share one store (`cache`), where each Data packet is kept once, with its
producer's signature. `hermes ndn put --type` has metadata tell what an object is.
