"""Ways from a face to features."""
