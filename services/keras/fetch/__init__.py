"""The command that brings models from S3."""
