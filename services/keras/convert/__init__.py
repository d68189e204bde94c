"""The converter of Keras models."""
