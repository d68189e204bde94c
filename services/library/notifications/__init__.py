"""Notifications: what others are told of."""
