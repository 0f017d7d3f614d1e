The gateway from HTTP to NDN heeds `If-Modified-Since`, and refuses names that no forwarder takes (400) instead of waiting for an answer.
