"""Faces in pictures: where they are, how good they are, and dlib's models of them."""
