"""What each of the library's subcommands does."""
