"""Answers as notebooks show them."""
