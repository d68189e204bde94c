"""The page and the HTTP API: a server for browsers and for callers without gRPC, in front of the gateway."""
