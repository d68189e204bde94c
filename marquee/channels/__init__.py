"""Connections to a server: where it is, over what, who calls, and what it means when they fail."""
