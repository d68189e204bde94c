"""The HTTP API: Connect over the protos, one path for files, and its description as OpenAPI."""
