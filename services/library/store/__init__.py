"""Pictures' files and thumbnails, by URL."""
