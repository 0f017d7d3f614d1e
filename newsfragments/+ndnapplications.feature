`hermes ndn get|put|peek|poke|ping|pingserver|status|key`: an application of an NDN forwarder, with the options of NDN's own tools. Objects in segments with
versions and metadata (RDR), of any size in bounded memory; fixed, AIMD and CUBIC pipelines with HyStart++ and retransmission by round trip and by overtaking;
signatures (SHA-256 digest, ECDSA, RSA, HMAC, Ed25519) verified up to a trust anchor; certificates v2 and a keychain in a directory. The packet format v0.3 and NDNLPv2 as a library
that needs no network.
