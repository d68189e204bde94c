"""The enrolled faces."""
