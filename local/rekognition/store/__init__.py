"""Collections, faces and users in SQLite."""
