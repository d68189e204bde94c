"""Enrolled faces: who is enrolled, the file that says so, and what changes it."""
