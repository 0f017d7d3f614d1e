Routes for HTTP requests: by host, path (exact, prefix, template, expression), method, header fields and query, beside
what other flows are matched by; they forward, split, rewrite, redirect, answer, mirror and deny. `hermes explain FILE
METHOD URL` says which route takes a request and what becomes of it.
