A controller keeps the overlay in SQLite, one file, or in etcd 3, so that several controllers serve one overlay: one leads, and what an old leader writes is
refused. Corrupt files are refused and left as they are.
