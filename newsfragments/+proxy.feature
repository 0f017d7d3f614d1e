Listeners of type `proxy`: HTTP proxy (CONNECT, absolute-form, HTTP/1.1 and HTTP/2), connect-udp and SOCKS5 with UDP ASSOCIATE on one port; users with
Basic, Bearer and SOCKS5 passwords, plain or hashed with scrypt; PROXY protocol v1 and v2 on accepted connections.
