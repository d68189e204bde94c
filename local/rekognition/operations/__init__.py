"""Rekognition's operations."""
