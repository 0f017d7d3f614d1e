Assisting components of type `cache`: a shared cache (RFC 9111) for routes and listeners, in memory or on disk in a database that survives
`kill -9` and that workers share; validation, variants, ranges, stale-while-revalidate and stale-if-error, Cache-Status; requests for the same
wait for one; bodies that were cut short are completed with Range; purging.
