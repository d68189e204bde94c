"""The command that manages collections."""
