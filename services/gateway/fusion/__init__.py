"""Fusion of what recognizers found: one verdict a face, one list of labels. Pure."""
