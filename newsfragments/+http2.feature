HTTP/2 that holds to RFC 9113 and RFC 7541: every case of the public suite h2spec, for servers and for clients, is among the
tests, with nghttp, h2load and curl as peers; floods, bombs and peers that do not read cost bounded memory and then their connection.
