"""A recognizer as a gRPC service."""
