"""The Keras recognizer, an adapter beside TensorFlow Serving, and the commands that train, convert and fetch models."""
