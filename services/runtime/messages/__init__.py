"""Messages as they come: what can be told of them, and kept, without parsing."""
