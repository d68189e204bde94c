"""Migrations, of which each release adds to the end."""
