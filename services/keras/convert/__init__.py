"""The command that converts Keras models for TensorFlow Serving."""
