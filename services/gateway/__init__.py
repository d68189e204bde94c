"""The gateway: one call in, every recognizer asked, one answer out."""
