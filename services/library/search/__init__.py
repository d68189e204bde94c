"""What pictures are found by, and finding them."""
