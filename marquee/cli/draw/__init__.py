"""Faces drawn into pictures."""
