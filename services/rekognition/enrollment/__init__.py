"""Enrollment into a collection."""
