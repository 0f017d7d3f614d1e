HTTP/1.1, server and client: requests as exchanges, CONNECT and Upgrade tunnels handed to the transport below them, framing that refuses what could be read in two ways.
