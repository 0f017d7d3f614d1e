An admin listener: Prometheus metrics, a status API, open flows, health; an access log of one JSON line for each flow; `hermes status`.
