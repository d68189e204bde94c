"""What is seen in pictures."""
