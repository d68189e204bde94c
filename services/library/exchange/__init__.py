"""Pictures and answers that leave the library in files, and answers that come from elsewhere."""
