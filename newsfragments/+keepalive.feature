`keepalive` of a `hermes` or `masque` upstream: after how long a hop that is silent is asked whether it is still there, and after as long again is given up.
