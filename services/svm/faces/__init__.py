"""Faces of a picture: finding, aligning and judging them."""
