"""Erasing a person, all that is held about them, and who looked them up."""
