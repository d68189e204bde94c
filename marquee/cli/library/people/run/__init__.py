"""What the `marquee library people` subcommands do."""
