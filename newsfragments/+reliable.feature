Reliable delivery of requests, by `retry`, `timeout` and `resume` of a route: retries with backoff and Retry-After, hedging, one deadline and one
budget of retries over all proxies, response bodies that go on where they were cut short, and responses that are spooled while a link is down.
`hermes.testing.links` has impaired links for tests, as a process too.
