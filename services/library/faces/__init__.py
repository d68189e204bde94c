"""Faces: their vectors, who is near to whom, and what a machine makes of it."""
