"""Grouping: what a machine makes of faces that look alike, and what it asks."""
