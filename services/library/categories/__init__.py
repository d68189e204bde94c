"""Categories, by rule and by hand."""
