"""When recognizers are called, when a response is sure, and whose result it must have. Pure."""
