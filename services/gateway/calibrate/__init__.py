"""The command that measures what recognizers' scores are worth as evidence, and writes the gateway's table."""
