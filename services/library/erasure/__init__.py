"""The trash, retention and erasure."""
