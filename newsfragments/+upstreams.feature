Direct upstreams for HTTP requests and flows alike: pools for HTTP/1.1 and HTTP/2 with connections in advance and limits of idleness
and age; round robin, least request, random, ring hash and Maglev, with weights, zones, priorities and slow start; active health
checks, also through hops, outliers left out, circuit breakers; TLS to the endpoints. `hermes status` shows each endpoint.
