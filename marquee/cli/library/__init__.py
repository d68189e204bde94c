"""The `marquee library` subcommands."""
