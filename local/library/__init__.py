"""The library, as the launcher runs it."""
