"""The library: pictures kept with what was recognized in them, found again and exported."""
