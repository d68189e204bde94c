"""Code generated from protos/local/tf_serving/messages by `make proto`."""
