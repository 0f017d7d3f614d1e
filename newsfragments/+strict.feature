A `tun` listener with `strict: true` makes its tunnel the only way: what its routes take goes through it or nowhere, also after `kill -9` and until it is started again.
