"""The Keras recognizer: an adapter beside TensorFlow Serving, and the trainer of its models."""
