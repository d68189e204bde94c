"""Trainers' reports: one HTML page that needs no other file."""
