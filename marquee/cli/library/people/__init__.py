"""The `marquee library people` subcommands."""
