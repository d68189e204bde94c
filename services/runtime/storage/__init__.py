"""S3, files, and the failures of AWS's services."""
