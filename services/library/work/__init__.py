"""The queue of pictures to recognize, and who works on it."""
