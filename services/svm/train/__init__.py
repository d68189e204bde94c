"""The trainer: from a folder of pictures per person to a model and a report."""
