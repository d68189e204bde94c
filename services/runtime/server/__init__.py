"""One gRPC server: calls, health, reflection and metrics."""
