"""The `marquee notify` subcommands."""
