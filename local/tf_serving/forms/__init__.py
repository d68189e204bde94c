"""What the REST port says: tensors as JSON, and metrics as Prometheus reads them."""
