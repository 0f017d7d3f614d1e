`bin/demo` shows HTTP exchanges too: a cache at the edge, requests that survive the death of their server, a route for one user.
