"""The command that fetches models from S3."""
