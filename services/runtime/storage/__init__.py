"""S3 and files."""
