Listeners of type `http`: reverse proxies for HTTP/1.1 and HTTP/2, in clear text and with TLS, with certificates for several public names.
Requests are exchanges: any version on either side, with trailers (gRPC), 100-continue and other informational responses, early answers and
WebSockets (RFC 6455 and RFC 8441, translated into each other), streamed both ways in bounded memory; `Via`, `Forwarded` and `Date` as the
RFCs have them. Messages that two readers could read in two ways (request smuggling) are refused, a `Host` unlike the target's among them.
