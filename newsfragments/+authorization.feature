Assisting components that say who asks and who may do what, for HTTP requests, for CONNECT, CONNECT-UDP and SOCKS5: `authentication` (Basic, Bearer,
JWT with keys from a file or a JWKS URL, certificates), `rules` in the match language of the routes, `authorizer` (the Open Policy Agent, any HTTP
service), `limits` (requests, concurrency, bytes a second; `RateLimit` fields). Hashed passwords are checked in threads, and failures limited by source.
