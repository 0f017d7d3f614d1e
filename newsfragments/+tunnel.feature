Listeners of type `tunnel`: CONNECT, connect-tcp and CONNECT-UDP over HTTP/2 and HTTP/1.1, for other nodes and for any MASQUE
client; hops with several endpoints, straight or inside another hop's tunnel; listening ports on a remote proxy.
