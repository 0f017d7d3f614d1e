HTTP exchanges are seen one by one: the access log has a line for each (`format: json`, `common` or `combined`; lines are gathered and written
many at once), `/metrics` has requests, durations as histograms, retries by reason, bytes and what a cache did by listener, route and upstream, and the pools and health of
upstreams; `/status` and `/requests` show what goes on. `tracing:` continues or begins traces (W3C Trace Context) and exports a span for
each exchange and for each time it was sent on over OTLP/HTTP; `pip install 'hermes-overlay[otlp]'`.
