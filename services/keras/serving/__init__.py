"""The recognizer's client of TensorFlow Serving."""
