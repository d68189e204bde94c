"""What every server is made of."""
