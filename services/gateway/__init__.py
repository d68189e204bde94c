"""The gateway: one call in, one to every recognizer, one response out."""
