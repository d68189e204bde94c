"""Who visits: sign-in, sessions, roles, and what no page of another site may do."""
