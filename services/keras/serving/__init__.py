"""TensorFlow Serving as the recognizer asks it."""
