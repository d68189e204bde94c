"""Channels: ways to reach somebody."""
