"""The command that tells what each policy costs, and what it gets wrong, on labelled pictures."""
