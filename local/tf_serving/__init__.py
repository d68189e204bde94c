"""A server that speaks TensorFlow Serving's APIs, so that neither demo nor tests need TensorFlow."""
