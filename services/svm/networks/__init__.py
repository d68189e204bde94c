"""Networks that embed faces."""
