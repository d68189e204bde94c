"""What every HTTP request has: a bounded connection, a bounded body, a name, a log line and metrics."""
