"""Recipes: from a face to features."""
