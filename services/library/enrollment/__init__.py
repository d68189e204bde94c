"""Enrollment: decided faces at the recognizers that learn them."""
